import { common } from "@/messages/en/common";
import { A } from "./html";

export function SkipLink() {
  return (
    <A href="#content" position="absolute" top="-20" left="2" zIndex="overlay" bg="bg.panel" color="owl.fg" borderWidth="1px" borderRadius="md" boxShadow="lg" px="4" py="2" _focus={{ top: "2" }}>
      {common.skip}
    </A>
  );
}
