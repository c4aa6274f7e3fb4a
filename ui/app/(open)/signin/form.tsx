"use client";
import { useRouter } from "next/navigation";
import { SignInForm } from "@/components/signin-form";

export function SignInPage({ next }: { next: string }) {
  const router = useRouter();
  return <SignInForm done={() => { router.replace(next); router.refresh(); }} />;
}
