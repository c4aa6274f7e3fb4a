import { Loading } from "@/components/states";

export default function Wait() {
  return <Loading />;
}
