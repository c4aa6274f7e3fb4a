"use client";
import { common } from "@/messages/en/common";

/** Where even the layout fails: without the theme, which may be why. */
export default function Failed({ reset }: { reset: () => void }) {
  return (
    <html lang="en">
      <body>
        <main>
          <h1>{common.problem.title}</h1>
          <p>{common.problem.unexpected}</p>
          <button type="button" onClick={reset}>{common.retry}</button>
        </main>
      </body>
    </html>
  );
}
