"use client";
import { useRouter } from "next/navigation";
import { useEffect } from "react";

/** Live fetches the page's content again and again, as long as somebody looks at it. */
export function Live({ every }: { every: number }) {
  const router = useRouter();
  useEffect(() => {
    const timer = setInterval(() => {
      if (document.visibilityState === "visible" && navigator.onLine) router.refresh();
    }, every);
    return () => clearInterval(timer);
  }, [every, router]);
  return null;
}
