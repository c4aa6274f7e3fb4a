"use client";
import { Box, chakra } from "@chakra-ui/react";
import { useId } from "react";

/** Radio is a choice of one among few, each with a line about it. */
export function Radio({ name, legend, value, options, onChange, legendHidden, columns = true }: { name: string; legend: string; value: string | undefined; options: readonly { value: string; label: string; hint?: string; disabled?: boolean }[]; onChange: (value: string) => void; legendHidden?: boolean; columns?: boolean }) {
  const id = useId();
  return (
    <Box as="fieldset" border="0" p="0" m="0" mb="4" minW="0">
      <chakra.legend display="block" fontWeight="medium" mb="1.5" p="0" css={legendHidden ? { position: "absolute", w: "1px", h: "1px", overflow: "hidden", clipPath: "inset(50%)" } : {}}>{legend}</chakra.legend>
      <Box display="grid" gap="2" gridTemplateColumns={columns ? "repeat(auto-fit, minmax(min(11rem, 100%), 1fr))" : undefined}>
        {options.map((o) => (
          <chakra.label
            key={o.value} display="flex" gap="3" alignItems="flex-start" p="3" borderWidth="1px" borderRadius="md" borderColor="border.control" cursor="pointer" minW="0"
            css={{ "&:has(:checked)": { borderColor: "owl.solid", bg: "bg.info" }, "&:has(:disabled)": { opacity: 0.6, cursor: "not-allowed" }, "&:has(:focus-visible)": { outline: "2px solid", outlineColor: "owl.focusRing", outlineOffset: "1px" } }}
          >
            <chakra.input type="radio" name={`${id}${name}`} value={o.value} checked={value === o.value} disabled={o.disabled} onChange={() => onChange(o.value)} mt="0.5" w="4" h="4" flexShrink="0" css={{ accentColor: "{colors.owl.solid}" }} outline="0" aria-describedby={o.hint ? `${id}${o.value}` : undefined} />
            <Box minW="0">
              <Box fontWeight="medium" overflowWrap="anywhere">{o.label}</Box>
              {o.hint && <Box id={`${id}${o.value}`} color="fg.muted" fontSize="xs">{o.hint}</Box>}
            </Box>
          </chakra.label>
        ))}
      </Box>
    </Box>
  );
}
