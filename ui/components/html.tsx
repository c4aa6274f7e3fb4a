"use client";
import { chakra } from "@chakra-ui/react/styled-system";

// Elements that take Chakra's style props. A server component cannot read `chakra.main` itself: `chakra` is a client's.
export const A = chakra("a");
export const Caption = chakra("caption");
export const Dd = chakra("dd");
export const Details = chakra("details");
export const Dl = chakra("dl");
export const Dt = chakra("dt");
export const FormElement = chakra("form");
export const Li = chakra("li");
export const Main = chakra("main");
export const Pre = chakra("pre");
export const RawButton = chakra("button");
export const Span = chakra("span");
export const Summary = chakra("summary");
export const TableElement = chakra("table");
export const Td = chakra("td");
export const Th = chakra("th");
export const TrElement = chakra("tr");
export const Ul = chakra("ul");
