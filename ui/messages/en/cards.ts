export const cards = {
  dashboard: { title: "Dashboard" },
};
