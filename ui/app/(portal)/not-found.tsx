import { Notice } from "@/components/states";
import { common } from "@/messages/en/common";

export default function NotFound() {
  return <Notice level={1} icon="search" title={common.problem.notFoundTitle} text={common.problem.notFound} action={{ href: "/", label: common.problem.home }} />;
}
