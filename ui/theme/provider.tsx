"use client";
import createCache from "@emotion/cache";
import { CacheProvider } from "@emotion/react";
import { ChakraProvider } from "@chakra-ui/react";
import { useServerInsertedHTML } from "next/navigation";
import { type ReactNode, useState } from "react";
import { system } from "./index";

/** Emotion's style sheets go into the head, each with the nonce of the page's Content-Security-Policy. */
export function ThemeProvider({ nonce, children }: { nonce: string; children: ReactNode }) {
  const [{ cache, flush }] = useState(() => {
    const cache = createCache({ key: "ao", nonce });
    cache.compat = true;
    const insert = cache.insert;
    let fresh: { name: string; global: boolean }[] = [];
    cache.insert = (...args) => {
      const [selector, serialized] = args;
      if (cache.inserted[serialized.name] === undefined) fresh.push({ name: serialized.name, global: !selector });
      return insert(...args);
    };
    return {
      cache,
      flush() {
        const f = fresh;
        fresh = [];
        return f;
      },
    };
  });

  useServerInsertedHTML(() => {
    const inserted = flush();
    if (inserted.length === 0) return null;
    let scoped = "";
    let names = cache.key;
    const globals: { name: string; css: string }[] = [];
    for (const { name, global } of inserted) {
      const css = cache.inserted[name];
      if (typeof css !== "string") continue;
      if (global) globals.push({ name, css });
      else {
        scoped += css;
        names += ` ${name}`;
      }
    }
    /* eslint-disable react/no-danger -- what Emotion made of the portal's own styles */
    return (
      <>
        {globals.map(({ name, css }) => (
          <style key={name} nonce={nonce} data-emotion={`${cache.key}-global ${name}`} dangerouslySetInnerHTML={{ __html: css }} />
        ))}
        {scoped && <style nonce={nonce} data-emotion={names} dangerouslySetInnerHTML={{ __html: scoped }} />}
      </>
    );
    /* eslint-enable react/no-danger */
  });

  return (
    <CacheProvider value={cache}>
      <ChakraProvider value={system}>{children}</ChakraProvider>
    </CacheProvider>
  );
}
