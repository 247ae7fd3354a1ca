/**
 * The documentation site, as VitePress takes it. A dead link fails the build.
 *
 * VitePress is not imported: this file is checked with the rest of the repository, whose configuration does
 * not have it.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

interface SidebarItem {
  text: string;
  link?: string;
  items?: SidebarItem[];
}

/** Sidebars of the generated cookbooks, as their `cookbook.json` say. */
function cookbooks(): SidebarItem[] {
  const folder = fileURLToPath(new URL("../cookbook/", import.meta.url));
  if (!existsSync(folder)) return [];
  return readdirSync(folder).filter((name) => existsSync(`${folder}${name}/cookbook.json`)).sort()
    .map((name) => {
      const { app, sidebar } = JSON.parse(
        readFileSync(`${folder}${name}/cookbook.json`, "utf8"),
      ) as { app: string; sidebar: { text: string; link: string }[] };
      return {
        text: app,
        items: sidebar.map(({ text, link }) => ({
          text,
          link: `/cookbook/${name}/${link}`,
        })),
      };
    });
}

export default {
  title: "Kontract",
  description:
    "Full-stack TypeScript for people who own a corner of a PostgreSQL and nothing else.",
  cleanUrls: true,
  lastUpdated: false,
  ignoreDeadLinks: false,
  srcExclude: ["node_modules/**"],
  themeConfig: {
    search: { provider: "local" },
    outline: [2, 3],
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
            { text: "Tenants", link: "/guide/tenants" },
            { text: "Front ends", link: "/guide/front_ends" },
            { text: "Live queries", link: "/guide/live_queries" },
            { text: "Events", link: "/guide/events" },
            { text: "Middleware", link: "/guide/middleware" },
            { text: "Shared state", link: "/guide/shared_state" },
            { text: "Lazy loading", link: "/guide/lazy_loading" },
            { text: "Tests", link: "/guide/testing" },
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
        {
          text: "Reference",
          items: [
            { text: "Command line", link: "/reference/command_line" },
            { text: "Error codes", link: "/reference/errors" },
            { text: "API", link: "/api/index.html", target: "_self" },
            { text: "Dependencies", link: "/dependencies" },
          ],
        },
      ],
      "/reference/": [
        {
          text: "Reference",
          items: [
            { text: "Command line", link: "/reference/command_line" },
            { text: "Error codes", link: "/reference/errors" },
            { text: "API", link: "/api/index.html", target: "_self" },
            { text: "Dependencies", link: "/dependencies" },
          ],
        },
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
      "/cookbook/": [
        { text: "All examples", link: "/cookbook/" },
        ...cookbooks(),
      ],
    },
  },
};
