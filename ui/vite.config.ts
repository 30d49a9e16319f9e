/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The page must run under `default-src 'self'`: nothing is inlined, neither scripts nor styles nor
 * pictures, and nothing comes from another host.
 */
import tailwindcss from "@tailwindcss/vite";
import { defineConfig } from "vitest/config";
import { precompress } from "./build/precompress";

/* A running gateway for `npm run dev`. */
const gateway = process.env["DISTRICHAT_URL"] ?? "http://127.0.0.1:8080";

export default defineConfig({
  plugins: [tailwindcss(), precompress()],
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 400,
  },
  server: {
    proxy: {
      "/api": { target: gateway },
      "/ws": { target: gateway, ws: true },
    },
  },
  test: { include: ["test/**/*.test.{ts,tsx}"], environment: "node" },
});
