"use client";
import { Box } from "@chakra-ui/react";
import { createContext, type ReactNode, useCallback, useContext, useEffect, useRef, useState } from "react";
import { common } from "@/messages/en/common";
import { Dialog } from "./dialog";
import { Icon } from "./icons";
import { SignInForm } from "./signin-form";
import { useToast } from "./toasts";

const Context = createContext<() => Promise<boolean>>(() => Promise.resolve(false));

/** useSignInAgain asks the person to sign in again, in place. The answer is whether that was done. */
export function useSignInAgain() {
  return useContext(Context);
}

/** SessionKeeper is around every page for who has signed in: it tells of an ended session and of a lost network. */
export function SessionKeeper({ email, children }: { email: string; children: ReactNode }) {
  const [waiting, setWaiting] = useState(false);
  const resolve = useRef<((done: boolean) => void)[]>([]);
  const toast = useToast();
  const ask = useCallback(() => new Promise<boolean>((done) => { resolve.current.push(done); setWaiting(true); }), []);
  const finish = (done: boolean) => {
    setWaiting(false);
    for (const r of resolve.current.splice(0)) r(done);
    if (done) toast(common.session.back);
  };
  return (
    <Context.Provider value={ask}>
      <Offline />
      {children}
      <Dialog open={waiting} onClose={() => finish(false)} title={common.session.title}>
        <Box color="fg.muted" mb="5">{common.session.text}</Box>
        <SignInForm email={email} done={() => finish(true)} />
      </Dialog>
    </Context.Provider>
  );
}

function Offline() {
  const [off, setOff] = useState(false);
  const toast = useToast();
  useEffect(() => {
    const lost = () => setOff(true);
    const back = () => { setOff(false); toast(common.online); };
    addEventListener("offline", lost);
    addEventListener("online", back);
    return () => { removeEventListener("offline", lost); removeEventListener("online", back); };
  }, [toast]);
  return (
    <Box role="alert">
      {off && (
        <Box bg="bg.warning" color="fg.warning" borderBottomWidth="1px" px="5" py="2.5" display="flex" gap="3" alignItems="center">
          <Icon name="cloudOff" size={18} style={{ flexShrink: 0 }} />
          <Box><b>{common.offline.title}.</b> {common.offline.text}</Box>
        </Box>
      )}
    </Box>
  );
}
