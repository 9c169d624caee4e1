// The views of the page: one table for the address, the bar, the commands and the title.
import { FILTERS, FILTERS_AND_ORDER } from "../state/route.js";
import { Activity } from "./activity/activity.js";
import { Agents } from "./agents/agents.js";
import { Board } from "./board/board.js";
import { Flow } from "./flow/flow.js";
import { Graph } from "./graph/graph.js";
import { Needs } from "./needs/needs.js";
import { Projects } from "./projects.js";
import { Table } from "./table/table.js";

/** The keys are the values of `view` in the address. */
/** @type {Views} */
export const VIEWS = {
  board: {
    component: Board, title: "Board", icon: "board", key: "b", goal: "the board", filters: FILTERS, selects: true,
    filterable: true,
  },
  table: {
    component: Table, title: "Table", icon: "table", key: "t", goal: "the table", filters: FILTERS_AND_ORDER,
    selects: true, filterable: true,
  },
  needs: { component: Needs, title: "Needs you", icon: "inbox", key: "n", goal: "what needs you" },
  agents: {
    component: Agents, title: "Agents", icon: "agents", key: "a", unfiltered: true,
    filters: ["project", "agent", "range"],
  },
  activity: {
    component: Activity, title: "Activity", icon: "activity", key: "l", goal: "live activity",
    filters: ["project", "agent", "kind", "text"],
  },
  graph: {
    component: Graph, title: "Dependencies", tab: "Graph", icon: "graph", key: "d",
    filters: ["project", "epic", "label", "show"],
  },
  flow: { component: Flow, title: "Flow", icon: "flow", key: "f", filters: ["project", "epic", "agent", "range"] },
  projects: { component: Projects, title: "Projects", icon: "projects", key: "p", unfiltered: true },
};
