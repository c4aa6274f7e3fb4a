import type { Metadata } from "next";
import { account } from "@/messages/en/account";
import { ForgotForm } from "./form";

export const metadata: Metadata = { title: account.forgot.title };

export default function Forgot() {
  return <ForgotForm />;
}
