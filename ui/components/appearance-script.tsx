/** Appearance takes over what the machine prefers before the first paint. */
export function Appearance({ nonce }: { nonce: string }) {
  return (
    // eslint-disable-next-line react/no-danger -- a constant
    <script nonce={nonce} suppressHydrationWarning dangerouslySetInnerHTML={{ __html: script }} />
  );
}

const script = `(m=>{const f=()=>{const c=document.documentElement.classList,d=m.matches;c.toggle("dark",d);c.toggle("light",!d)};f();m.onchange=()=>{/appearance=(light|dark)/.test(document.cookie)||f()}})(matchMedia("(prefers-color-scheme: dark)"))`;
