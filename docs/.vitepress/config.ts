/** The documentation site. A dead link fails the build. */
import { defineConfig } from "vitepress";

export default defineConfig({
  title: "Kontract",
  description: "Full-stack TypeScript for people who own a corner of a PostgreSQL and nothing else.",
  cleanUrls: true,
  lastUpdated: false,
  ignoreDeadLinks: false,
  themeConfig: {
    search: { provider: "local" },
    nav: [
      { text: "Guide", link: "/guide/overview" },
      { text: "Architecture", link: "/architecture/overview" },
      { text: "Cookbook", link: "/cookbook/" },
      { text: "API", link: "/api/index.html", target: "_self" },
    ],
    sidebar: {
      "/guide/": [
        {
          text: "Start",
          items: [
            { text: "Overview", link: "/guide/overview" },
            { text: "Quickstart", link: "/guide/quickstart" },
          ],
        },
        {
          text: "Build",
          items: [
            { text: "Functions", link: "/guide/functions" },
            { text: "Storage and transactions", link: "/guide/storage" },
            { text: "Authentication", link: "/guide/authentication" },
            { text: "Events", link: "/guide/events" },
            { text: "Middleware", link: "/guide/middleware" },
            { text: "Shared state", link: "/guide/shared_state" },
            { text: "Lazy loading", link: "/guide/lazy_loading" },
            { text: "Cookbook", link: "/guide/cookbook" },
          ],
        },
        {
          text: "Run",
          items: [
            { text: "Migrations", link: "/guide/migrations" },
            { text: "Deployment", link: "/guide/deployment" },
          ],
        },
        { text: "Reference", items: [{ text: "Error codes", link: "/reference/errors" }] },
      ],
      "/architecture/": [
        {
          text: "Architecture",
          items: [
            { text: "Overview", link: "/architecture/overview" },
            { text: "Storage", link: "/architecture/storage" },
            { text: "Runtime", link: "/architecture/runtime" },
            { text: "Compiler", link: "/architecture/compiler" },
            { text: "raystream", link: "/architecture/raystream" },
            { text: "Security", link: "/architecture/security" },
          ],
        },
      ],
    },
  },
});
