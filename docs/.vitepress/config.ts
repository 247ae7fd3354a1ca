/** The documentation site. A dead link fails the build. */
import { defineConfig } from "vitepress";

export default defineConfig({
  title: "Kontract",
  description: "Full-stack TypeScript for people who own a corner of a PostgreSQL and nothing else.",
  cleanUrls: true,
  lastUpdated: false,
  ignoreDeadLinks: false,
});
