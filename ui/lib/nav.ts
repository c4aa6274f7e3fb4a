import type { IconName } from "@/components/icons";
import { common } from "@/messages/en/common";
import type { Role } from "./session/session";

export interface NavItem {
  href: string;
  label: string;
  icon: IconName;
}
export interface NavGroup {
  label?: string;
  items: NavItem[];
}

const n = common.nav;

const rules: NavGroup = {
  label: n.groupRules,
  items: [
    { href: "/manage/campaigns", label: n.manageCampaigns, icon: "tag" },
    { href: "/manage/try", label: n.tryOut, icon: "flask" },
    { href: "/manage/exclusions", label: n.exclusions, icon: "ban" },
    { href: "/manage/card-types", label: n.cardTypes, icon: "card" },
  ],
};
const people: NavGroup = { label: n.groupPeople, items: [{ href: "/manage/users", label: n.users, icon: "users" }] };
const files: NavGroup = {
  label: n.groupFiles,
  items: [
    { href: "/uploads/new", label: n.upload, icon: "upload" },
    { href: "/uploads", label: n.uploads, icon: "files" },
  ],
};

/** navigation is what each role finds in the menu. The gateway decides what it may do. */
export const navigation: Record<Role, NavGroup[]> = {
  user: [
    {
      items: [
        { href: "/dashboard", label: n.dashboard, icon: "home" },
        { href: "/cards", label: n.cards, icon: "card" },
        { href: "/campaigns", label: n.campaigns, icon: "tag" },
      ],
    },
  ],
  bank: [rules, people, files],
  admin: [rules, people, files, { label: n.groupSystem, items: [{ href: "/engine", label: n.engine, icon: "gauge" }] }],
  merchant: [],
};

/** home is where a role begins. */
export const home: Record<Role, string> = { user: "/dashboard", bank: "/manage/campaigns", admin: "/manage/campaigns", merchant: "/account" };
