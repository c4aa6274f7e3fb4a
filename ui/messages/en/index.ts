/** The catalogue: every word that people read. Each file is an area, so that a page loads its own alone. */
export { account } from "./account";
export { cards } from "./cards";
export { common } from "./common";
export { manage } from "./manage";
export { campaigns as manageCampaigns, campaignWords } from "./manage-campaigns";
export { cardTypes, exclusions } from "./manage-rules";
export { tryOut } from "./manage-try";
export { users } from "./manage-users";
export { signin } from "./signin";
