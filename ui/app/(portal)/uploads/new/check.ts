import { files } from "@/messages/en/files";

export type Kind = "spend" | "users";

const t = files.send.wrong;

// The columns that a file must have; loyalty/spendcsv and pet-rock say the same in Go, and decide.
const needed: Record<Kind, string[]> = {
  spend: ["card_id", "merchant", "mcc", "currency", "amount", "transaction_date", "card_pan", "card_type"],
  users: ["id", "first_name", "email", "card_id", "card_pan", "card_type"],
};

/** check looks at a file's name and beginning, so that what cannot be read is said before it is sent. */
export async function check(file: File, kind: Kind): Promise<string | undefined> {
  const name = file.name.toLowerCase();
  if (!name.endsWith(".csv") && !(kind === "spend" && name.endsWith(".csv.gz"))) return t.name(kind);
  if (file.size === 0) return t.empty;
  const start = new Uint8Array(await file.slice(0, 64 << 10).arrayBuffer());
  const zipped = start[0] === 0x1f && start[1] === 0x8b;
  if (name.endsWith(".gz")) return zipped ? undefined : t.gzip;
  if (start[0] === 0x50 && start[1] === 0x4b) return t.zip;
  if ((start[0] === 0xff && start[1] === 0xfe) || (start[0] === 0xfe && start[1] === 0xff)) return t.utf16;
  if (zipped) return t.binary;
  const zeros = start.subarray(0, 200).filter((b) => b === 0).length;
  if (zeros > 40) return t.utf16;
  if (zeros > 0) return t.binary;
  let text: string;
  try {
    // The last character may be cut in the middle: `stream` lets it be.
    text = new TextDecoder("utf-8", { fatal: true }).decode(start, { stream: true });
  } catch {
    return t.utf8;
  }
  const [header = "", ...rest] = text.split(/\r\n|\n|\r/);
  if (!header.includes(",") && /[;\t|]/.test(header)) return t.separator;
  const columns = header.split(",").map((c) => c.trim().replace(/^"|"$/g, "").trim().toLowerCase());
  const missing = (k: Kind) => [...needed[k].filter((c) => !columns.includes(c)), ...(k === "spend" && !columns.includes("id") && !columns.includes("transaction_id") ? ["id or transaction_id"] : [])];
  const lacks = missing(kind);
  if (lacks.length > 0) {
    const other: Kind = kind === "spend" ? "users" : "spend";
    return missing(other).length === 0 ? t.kind(files.kinds[other].toLowerCase()) : t.header(lacks.join(", "));
  }
  if (file.size <= start.length && rest.every((l) => l.trim() === "")) return t.onlyHeader;
  return undefined;
}
