/** Sent is what the store said: its name of the content, for what comes in parts. */
export interface Sent {
  etag: string;
}

/** put sends a part of a file, or all of it, straight to the store. `fetch` would not tell how far it is. */
export function put(url: string, headers: Record<string, string>, body: Blob, progress: (bytes: number) => void, signal: AbortSignal): Promise<Sent> {
  return new Promise((resolve, reject) => {
    const x = new XMLHttpRequest();
    x.open("PUT", url);
    // The browser says these itself, and lets no page set them.
    for (const [name, value] of Object.entries(headers)) if (!/^(content-length|host)$/i.test(name)) x.setRequestHeader(name, value);
    x.upload.onprogress = (e) => progress(e.loaded);
    x.onload = () => (x.status >= 200 && x.status < 300 ? resolve({ etag: x.getResponseHeader("ETag") ?? "" }) : reject(new Error(`the store answered ${x.status}`)));
    x.onerror = () => reject(new Error("the store could not be reached"));
    x.onabort = () => reject(new DOMException("given up", "AbortError"));
    signal.addEventListener("abort", () => x.abort(), { once: true });
    x.send(body);
  });
}
