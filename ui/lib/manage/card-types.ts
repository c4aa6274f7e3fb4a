import "server-only";
import { api, load } from "@/lib/api/client";

/** cardTypes are all there are, by name: there are few. */
export async function cardTypes() {
  return load((await api()).GET("/card/type", { params: { query: { page_size: 1000, sort: "name" } } }));
}
