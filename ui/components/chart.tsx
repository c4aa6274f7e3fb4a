import { Box } from "@chakra-ui/react";
import type { Decimal } from "@/lib/api/decimal";

/** Only to draw with: how long a bar is need not be exact, what is written beside it is. */
function size(value: Decimal): number {
  return Number(value);
}

export interface Bar {
  key: string;
  /** Stands below the bar. */
  short: string;
  /** Names the bar. */
  long: string;
  value: Decimal;
  text: string;
}

const height = 100;

/** MonthChart is a bar a month, drawn on the server. The table that follows it says the same to who cannot see it. */
export function MonthChart({ bars, label, most }: { bars: Bar[]; label: string; most: string }) {
  const values = bars.map((b) => size(b.value));
  const top = Math.max(...values, 0);
  const bottom = Math.min(...values, 0);
  const span = top - bottom || 1;
  const zero = (top / span) * height;
  return (
    <Box>
      <Box color="fg.muted" fontSize="xs" mb="1">{most}</Box>
      <svg role="img" aria-label={label} viewBox={`0 0 ${bars.length} ${height}`} preserveAspectRatio="none" width="100%" height="160" style={{ display: "block", overflow: "visible" }}>
        {[0.25, 0.5, 0.75, 1].map((f) => <line key={f} x1="0" x2={bars.length} y1={height * (1 - f)} y2={height * (1 - f)} stroke="var(--ao-colors-border)" strokeWidth="1" vectorEffect="non-scaling-stroke" strokeDasharray="2 4" />)}
        {bars.map((b, i) => {
          const v = values[i] ?? 0;
          const h = Math.max((Math.abs(v) / span) * height, v === 0 ? 0 : 1.5);
          return (
            <g key={b.key}>
              <title>{`${b.long}: ${b.text}`}</title>
              <rect x={i} width="1" y="0" height={height} fill="transparent" />
              <rect x={i + 0.18} width="0.64" y={v >= 0 ? zero - h : zero} height={h} fill={v >= 0 ? "var(--ao-colors-owl-solid)" : "var(--ao-colors-fg-error)"} />
            </g>
          );
        })}
        <line x1="0" x2={bars.length} y1={zero} y2={zero} stroke="var(--ao-colors-border-emphasized)" strokeWidth="1" vectorEffect="non-scaling-stroke" />
      </svg>
      <Box aria-hidden="true" display="grid" gridTemplateColumns={`repeat(${bars.length}, minmax(0, 1fr))`} fontSize="xs" color="fg.muted" textAlign="center" mt="1.5" css={bars.length > 7 ? { "@media (max-width: 479px)": { "& > :nth-of-type(even)": { visibility: "hidden" }, "& > *": { overflow: "visible", whiteSpace: "nowrap", marginInline: "-4px" } } } : undefined}>
        {bars.map((b) => <Box key={b.key}>{b.short}</Box>)}
      </Box>
    </Box>
  );
}

/** ShareChart is a bar for each kind, the largest first, with its words and its figure. */
export function ShareChart({ bars }: { bars: Bar[] }) {
  const most = Math.max(...bars.map((b) => size(b.value)), 0) || 1;
  return (
    <Box as="ul" listStyleType="none" p="0" m="0" display="grid" gap="3.5">
      {bars.map((b) => (
        <li key={b.key}>
          <Box display="flex" justifyContent="space-between" gap="3" mb="1">
            <Box minW="0">{b.long}</Box>
            <Box fontVariantNumeric="tabular-nums" whiteSpace="nowrap">{b.text}</Box>
          </Box>
          <svg viewBox="0 0 100 6" preserveAspectRatio="none" width="100%" height="6" aria-hidden="true" style={{ display: "block" }}>
            <rect width="100" height="6" rx="0.500" fill="var(--ao-colors-bg-muted)" />
            <rect width={Math.max(0, (size(b.value) / most) * 100)} height="6" fill="var(--ao-colors-owl-solid)" />
          </svg>
        </li>
      ))}
    </Box>
  );
}
