// Serves the portal, and speaks TLS where there is a certificate: TLS_CERT_FILE and TLS_KEY_FILE. Next.js' server makes a
// server of plain HTTP and takes none of ours, so what makes it is replaced before Next.js is there.
import fs from "node:fs";
import http from "node:http";
import https from "node:https";
import process from "node:process";

const { env } = process;
const files = { cert: env.TLS_CERT_FILE, key: env.TLS_KEY_FILE };
const say = (text) => process.stderr.write(`${text}\n`);
const read = () => ({ cert: fs.readFileSync(files.cert), key: fs.readFileSync(files.key) });

if (files.cert || files.key) {
  if (!files.cert || !files.key) {
    say("TLS_CERT_FILE and TLS_KEY_FILE belong together; set both or none");
    process.exit(1);
  }
  http.createServer = (listener) => {
    const server = https.createServer({ ...read(), minVersion: "TLSv1.2" }, listener);
    // Certificates are renewed while the portal runs. While the two do not belong together, since only one was replaced
    // yet, the one before is served on.
    const renew = (now, before) => {
      if (now.mtimeMs === before.mtimeMs && now.ino === before.ino) return;
      try {
        server.setSecureContext({ ...read(), minVersion: "TLSv1.2" });
        say("the certificate was replaced");
      } catch (error) {
        say(`the new certificate cannot be used; the one before is served on: ${error.message}`);
      }
    };
    for (const file of Object.values(files)) fs.watchFile(file, { interval: 5_000, persistent: false }, renew);
    return server;
  };
  try {
    https.createServer(read()).close();
  } catch (error) {
    say(`TLS_CERT_FILE and TLS_KEY_FILE cannot be used: ${error.message}`);
    process.exit(1);
  }
}

await import("./server.js");
