import { Box } from "@chakra-ui/react";

const faces = ["linear-gradient(135deg, #303887, #5a68e4)", "linear-gradient(135deg, #0e4d35, #1c9c62)", "linear-gradient(135deg, #6f3c0f, #d97f0b)", "linear-gradient(135deg, #343d4f, #667085)", "linear-gradient(135deg, #7f1d1d, #c2302f)"];

/** CardFace is a small picture of a card; those of one type look alike. Beside it stand the words. */
export function CardFace({ type, lastFour }: { type: string; lastFour: string }) {
  const face = faces[[...type].reduce((n, c) => (n * 31 + (c.codePointAt(0) ?? 0)) >>> 0, 7) % faces.length];
  return (
    <Box aria-hidden="true" flexShrink="0" w="14" h="9" borderRadius="sm" color="white" background={face} position="relative" fontSize="0.5625rem" letterSpacing="0.04em">
      <Box position="absolute" top="1.5" left="1.5" w="2.5" h="2" borderRadius="xs" bg="rgb(255 255 255 / 65%)" />
      <Box position="absolute" bottom="0.5" right="1.5">{lastFour}</Box>
    </Box>
  );
}
