/** The catalogue: every word that people read. Each file is an area, so that a page loads its own alone. */
export { account } from "./account";
export { cards } from "./cards";
export { common } from "./common";
export { signin } from "./signin";
