import { Notice } from "@/components/states";
import { common } from "@/messages/en/common";
import { Main } from "@/components/html";

export default function NotFound() {
  return (
    <Main display="block" pt="16">
      <Notice level={1} icon="search" title={common.problem.notFoundTitle} text={common.problem.notFound} action={{ href: "/", label: common.problem.home }} />
    </Main>
  );
}
