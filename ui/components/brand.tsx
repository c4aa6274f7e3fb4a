import { Box } from "@chakra-ui/react";
import { common } from "@/messages/en/common";

/** Brand is the owl and the name. */
export function Brand() {
  return (
    <Box display="inline-flex" alignItems="center" gap="2.5" fontWeight="semibold" fontSize="md" letterSpacing="-0.01em">
      <Mark />
      {common.product}
    </Box>
  );
}

export function Mark({ size = 28 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <rect width="32" height="32" rx="8" fill="#4652cf" />
      <path d="M7 9.500l4 2.200a10 10 0 0 1 10 0l4-2.200v8.700a9 9 0 0 1-18 0z" fill="#fff" />
      <circle cx="12" cy="17" r="2.600" fill="#4652cf" />
      <circle cx="20" cy="17" r="2.600" fill="#4652cf" />
      <path d="M14.700 20.500h2.600L16 23z" fill="#f5a524" />
    </svg>
  );
}
