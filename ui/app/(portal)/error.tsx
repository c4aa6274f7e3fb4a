"use client";
import { useEffect } from "react";
import { Button } from "@/components/button";
import { Notice } from "@/components/states";
import { common } from "@/messages/en/common";

export default function Failed({ error, reset }: { error: Error & { digest?: string }; reset: () => void }) {
  useEffect(() => { document.title = common.problem.title; }, []);
  return (
    <>
      <Notice level={1} icon="warning" title={common.problem.title} text={common.problem.unexpected} small={error.digest ? `${common.problem.requestId} ${error.digest}` : undefined} />
      <div style={{ textAlign: "center" }}><Button variant="outline" onClick={reset}>{common.retry}</Button></div>
    </>
  );
}
