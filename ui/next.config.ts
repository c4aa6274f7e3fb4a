import type { NextConfig } from "next";

const config: NextConfig = {
  output: "standalone",
  outputFileTracingRoot: import.meta.dirname,
  turbopack: { root: import.meta.dirname },
  poweredByHeader: false,
  reactStrictMode: true,
  devIndicators: false,
  // Chakra's index names every component; without this each page would load all of them.
  experimental: { optimizePackageImports: ["@chakra-ui/react"] },
  images: { unoptimized: true },
};

export default config;
