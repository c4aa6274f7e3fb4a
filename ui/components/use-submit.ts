"use client";
import { useRouter } from "next/navigation";
import { useCallback, useState, useTransition } from "react";
import { ended, type Problem, type Result } from "@/lib/api/problem";
import { useSignInAgain } from "./session";

/**
 * useSubmit runs a server action from a form. It never throws: `problem` is for <Form problem={…}>. Where the session
 * has ended the person signs in again in a dialog, with what was typed still there, and then it goes on.
 */
export function useSubmit<Args extends unknown[], T>(action: (...args: Args) => Promise<Result<T>>, then?: (data: T) => void) {
  const [problem, setProblem] = useState<Problem>();
  const [busy, setBusy] = useState(false);
  const signInAgain = useSignInAgain();
  const submit = useCallback(
    async (...args: Args): Promise<Result<T>> => {
      setBusy(true);
      setProblem(undefined);
      try {
        for (;;) {
          const result = await attempt(() => action(...args));
          if (!result.ok && ended(result.problem) && (await signInAgain())) continue;
          if (result.ok) then?.(result.data);
          else setProblem(result.problem);
          return result;
        }
      } finally {
        setBusy(false);
      }
    },
    [action, signInAgain, then],
  );
  return { submit, busy, problem, fail: setProblem };
}

/** useReread reads the page again, and says while it does: what is confirmed then is of what was read. */
export function useReread() {
  const router = useRouter();
  const [rereading, start] = useTransition();
  return { rereading, reread: useCallback(() => start(() => router.refresh()), [router]) };
}

async function attempt<T>(run: () => Promise<Result<T>>): Promise<Result<T>> {
  try {
    return await run();
  } catch {
    // The portal itself could not be reached, or was stopped.
    return { ok: false, problem: { status: 0, code: navigator.onLine ? "away" : "offline", fields: {} } };
  }
}
