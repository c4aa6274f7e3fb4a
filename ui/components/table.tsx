import { Box } from "@chakra-ui/react";
import type { Key, ReactNode } from "react";
import { common } from "@/messages/en/common";
import { ButtonLink, TextLink } from "./button";
import { Icon } from "./icons";
import { Caption, TableElement, Td, Th, TrElement } from "./html";

export interface Column<Row> {
  /** Names the column; the API's name where it can be sorted by. */
  key: string;
  header: string;
  cell: (row: Row) => ReactNode;
  numeric?: boolean;
  sortable?: boolean;
  /** The column that says what the row is: read out with each cell, and the heading of the row on a phone. */
  main?: boolean;
}

/**
 * DataTable is a table where there is room. On a phone each row is a block, in which each cell says its column's name,
 * so that nothing has to be pushed sideways at 320 px or at 200 % zoom.
 */
export function DataTable<Row>({ caption, columns, rows, rowKey, sort, sortHref }: { caption: string; columns: Column<Row>[]; rows: Row[]; rowKey: (row: Row) => Key; sort?: string; sortHref?: (sort: string) => string }) {
  return (
    <Table caption={caption} columns={columns} sort={sort} sortHref={sortHref}>
      {rows.map((row) => (
        <Tr key={rowKey(row)}>
          {columns.map((c) => <Cell key={c.key} column={c}>{c.cell(row)}</Cell>)}
        </Tr>
      ))}
    </Table>
  );
}

const narrow = "@media (max-width: 767px)";

/** Table, Tr and Cell are DataTable's parts, for tables whose rows are more than cells. */
export function Table({ caption, columns, sort = "", sortHref, children }: { caption: string; columns: Omit<Column<never>, "cell">[]; sort?: string; sortHref?: (sort: string) => string; children: ReactNode }) {
  return (
    // The roles are those that the elements have; browsers drop them where a table is laid out as blocks.
    <TableElement role="table" w="full" borderCollapse="collapse" textAlign="start" css={{ [narrow]: { display: "block", "& thead": { position: "absolute", w: "1px", h: "1px", overflow: "hidden", clipPath: "inset(50%)" }, "& tbody": { display: "block" } } }}>
      <Caption position="absolute" w="1px" h="1px" overflow="hidden" clipPath="inset(50%)">{caption}</Caption>
      <thead role="rowgroup">
        <tr role="row">
          {columns.map((c) => {
            const dir = sort === c.key ? "ascending" : sort === `-${c.key}` ? "descending" : undefined;
            return (
              <Th key={c.key} role="columnheader" scope="col" aria-sort={dir} textAlign={c.numeric ? "end" : "start"} px="3" py="2.5" fontSize="xs" fontWeight="medium" color="fg.muted" borderBottomWidth="1px" whiteSpace="nowrap" bg="bg.subtle" css={{ "&:first-of-type": { pl: "5" }, "&:last-of-type": { pr: "5" } }}>
                {c.sortable && sortHref ? (
                  <TextLink href={sortHref(dir === "ascending" ? `-${c.key}` : c.key)} color="inherit" textDecoration="none" display="inline-flex" alignItems="center" gap="1" scroll={false}>
                    {c.header}
                    <Icon name={dir === "ascending" ? "up" : dir === "descending" ? "down" : "sort"} size={13} />
                  </TextLink>
                ) : c.header}
              </Th>
            );
          })}
        </tr>
      </thead>
      <tbody role="rowgroup">{children}</tbody>
    </TableElement>
  );
}

export function Tr({ children }: { children: ReactNode }) {
  return (
    <TrElement role="row" css={{ "&:not(:last-of-type)": { borderBottomWidth: "1px" }, "@media (min-width: 768px)": { _hover: { bg: "bg.subtle" } }, [narrow]: { display: "block", px: "4", py: "3" } }}>
      {children}
    </TrElement>
  );
}

export function Cell({ column, children }: { column: Omit<Column<never>, "cell">; children: ReactNode }) {
  return (
    <Td
      role={column.main ? "rowheader" : "cell"}
      data-label={column.header}
      px="3" py="3" verticalAlign="middle"
      textAlign={column.numeric ? "end" : "start"}
      fontVariantNumeric={column.numeric ? "tabular-nums" : undefined}
      fontWeight={column.main ? "medium" : undefined}
      css={{
        "&:first-of-type": { pl: "5" },
        "&:last-of-type": { pr: "5" },
        [narrow]: {
          display: "flex", gap: "4", p: "0 !important", minH: "6", alignItems: "baseline", overflowWrap: "anywhere",
          "&:empty": { display: "none" },
          ...(column.main ? { mb: "1", fontSize: "md" } : { justifyContent: "space-between", textAlign: "end" }),
          ...(!column.main && column.header ? { "&::before": { content: "attr(data-label)", color: "fg.muted", flexShrink: "0", fontWeight: "normal" } } : {}),
        },
      }}
    >
      {children}
    </Td>
  );
}

/** Pagination of lists that have page numbers. */
export function Pagination({ page, size, total, href }: { page: number; size: number; total: number; href: (page: number) => string }) {
  const n = new Intl.NumberFormat("en-GB");
  const last = Math.max(1, Math.ceil(total / size));
  if (total === 0) return null;
  return (
    <Pages text={common.table.range(n.format((page - 1) * size + 1), n.format(Math.min(total, page * size)), n.format(total))} previous={page > 1 ? href(page - 1) : undefined} next={page < last ? href(page + 1) : undefined} />
  );
}

/** Pages is the way back and on. Lists with a cursor have only the way on and the way to the start. */
export function Pages({ text, previous, next, first }: { text?: string; previous?: string; next?: string; first?: string }) {
  return (
    <Box as="nav" aria-label={common.table.pages} display="flex" flexWrap="wrap" gap="3" justifyContent="space-between" alignItems="center" px={{ base: "4", md: "5" }} py="3" borderTopWidth="1px" data-no-print>
      <Box color="fg.muted">{text}</Box>
      <Box display="flex" gap="2">
        {first && <ButtonLink href={first} size="sm" variant="outline">{common.table.first}</ButtonLink>}
        {previous && <ButtonLink href={previous} size="sm" variant="outline">{common.table.previous}</ButtonLink>}
        {next && <ButtonLink href={next} size="sm" variant="outline">{common.table.next}</ButtonLink>}
      </Box>
    </Box>
  );
}
