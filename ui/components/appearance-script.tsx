/** Appearance takes over what the machine prefers before the first paint. */
export function Appearance({ nonce }: { nonce: string }) {
  return (
    // eslint-disable-next-line react/no-danger -- a constant
    <script nonce={nonce} suppressHydrationWarning dangerouslySetInnerHTML={{ __html: script }} />
  );
}

// Whoever has chosen light or dark has a cookie, and the server has written the class.
const script = `(m=>{const f=()=>{if(/(^|; )appearance=(light|dark)(;|$)/.test(document.cookie))return;const c=document.documentElement.classList,d=m.matches;c.toggle("dark",d);c.toggle("light",!d)};f();m.onchange=f})(matchMedia("(prefers-color-scheme: dark)"))`;
