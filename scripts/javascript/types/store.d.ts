// The state of the dashboard, and the actions that change it.

type Status = "BACKLOG" | "TODO" | "IN_PROGRESS" | "REVIEW" | "BLOCKED" | "DONE" | "CANCELLED";

interface Task extends TaskView {
  status: Status;
  /** The description is only its beginning. */
  description_truncated?: boolean;
}

interface Project extends ProjectView {
  description_truncated?: boolean;
}

interface Epic extends EpicView {
  description_truncated?: boolean;
}

interface Actor {
  id: string;
  kind: string;
  role?: string | number;
}

/** An event: its envelope, and the fields of its type (docs/events.md). Ids that do not apply are null. */
interface OutboxEvent {
  seq: number;
  type: string;
  timestamp: string;
  actor: Actor;
  project_id: number;
  epic_id: number;
  task_id: number;
  task?: CompactTaskRow | null;
  [field: string]: any;
}

interface Board {
  projects: Project[];
  epics: Epic[];
  tasks: Task[];
  seq: number;
  epoch: string;
}

/** The addressee of a message, as `POST /api/messages` takes it. */
interface MessageTarget {
  to_agent?: string;
  to_task?: number;
  to_project?: number;
}

interface MessageFormProps {
  id: number;
  target: MessageTarget;
  title: string;
  /** The only kind that can be sent. */
  kind?: string;
}

interface MessageBoxProps {
  target: MessageTarget;
  /** The addressee. */
  name: string;
  autofocus?: boolean;
  /** Without it, the box has no button that closes it. */
  onClose?: () => void;
}

/** A kind of event that calls a person. */
type NoticeKind = "question" | "review" | "attempts" | "silent";

interface Notice {
  kind: NoticeKind;
  seq: number;
  task: number;
  agent: string;
}

/** The settings of desktop notices in this browser. Quiet hours are local times such as "22:00". */
interface NoticeSettings {
  on: boolean;
  kinds: Record<NoticeKind, boolean>;
  quiet: boolean;
  from: string;
  until: string;
}

/** What the tabs of this browser remember of notices. `seq` is the last event that any of them has handled. */
interface NoticeMemory {
  epoch: string | null;
  seq: number;
  /** The notices of the last minute, in milliseconds since the epoch. */
  recent: { kind: NoticeKind; at: number }[];
  /** The running digest, and the time of its last change. */
  digest: { at: number; counts: Partial<Record<NoticeKind, number>> } | null;
}

type FlowView = GetAnswers["/api/flow"];

interface FlowRange {
  name: string;
  words: string;
  hours: number;
  /** Hours of one point. */
  step: number;
}

/** The range, and the tasks whose flow is shown: all, of a project, of an epic, or of an agent. */
interface FlowScope {
  range: string;
  project: number | null;
  epic: number | null;
  agent: string | null;
}

/** The last answer for the scope `key`, with the totals of the range before it. */
interface FlowRead {
  key: string;
  flow: FlowView | null;
  before: FlowTotalsView | null;
  error: ApiFailure | null;
}

/** A point of the flow with its time in milliseconds. `ahead`: it has not begun. */
interface FlowPeriod {
  from: number;
  until: number;
  point: FlowPointView;
  known: boolean;
  ahead: boolean;
}

/** A change between two values: its sign, its words, and whether it is good. */
interface FlowChange {
  words: string;
  tone: string;
  sign: number;
}

/** The target of a pause, as `POST /api/pauses` takes it. */
interface PauseTarget {
  scope: string;
  id?: number | string;
}

interface Session {
  actor: Actor | null;
  auth_required: boolean;
  max_attempts?: number;
  /** The ports of the server, or null without MCP over HTTP. */
  mcp?: { port: number; api_port: number } | null;
}

/** The view, the filters and the open task, as in the address of the page. */
interface Route {
  view: string;
  project: number | null;
  epic: number | null;
  task: number | null;
  label: string[] | null;
  /** Digits. */
  priority: string[] | null;
  holder: string | null;
  worked_by: string | null;
  created_by: string | null;
  /** One of CHANGED_NAMES, or a date. */
  changed: string | null;
  ready: string | null;
  q: string | null;
  status: string | null;
  around: string | null;
  /** The tasks of the graph: "waiting" or "all". */
  show: string | null;
  lane: string | null;
  /** Id of an agent: its page, its events in Activity, or its flow. */
  agent: string | null;
  /** Time range of a timeline or of the flow. */
  range: string | null;
  /** Kind of the events in Activity, and words in them. */
  kind: string | null;
  text: string | null;
  /** Instants, as the API takes them. */
  completed_since: string | null;
  completed_until: string | null;
  /** Column by which a table is sorted, after "-" for the reverse order, and the property by which it is grouped. */
  sort: string | null;
  group: string | null;
  /** The open task covers the view. */
  full: string | null;
}

/** The events of a task that change its status or content, oldest first. `whole` is whether these are all. */
interface TaskHistory {
  events: OutboxEvent[];
  whole: boolean;
}

/** The reviewed content of a task. */
type TaskContent = Pick<Task, "name" | "description" | "acceptance">;

type RouteChanges = Partial<Record<Exclude<RouteName, "view">, string | number | string[] | null>> & { view?: string };
/** Filters of other views, kept until a view uses them again. */
type KeptFilters = Partial<Record<RouteName, any>>;
type RouteName = keyof Route;
type Query = Record<string, string | number | null | undefined>;

/** The views by name. */
type Views = Record<string, {
  component: () => any;
  title: string;
  /** Text in the bar, if not the title. */
  tab?: string;
  icon: string;
  /** Second key of the shortcut, after "g". */
  key: string;
  /** Text after "Go to", if not the title. */
  goal?: string;
  /** The filters in its address. The default is the project. */
  filters?: RouteName[];
  /** Tasks can be selected in the view. */
  selects?: boolean;
  /** The view has the bar of filters. */
  filterable?: boolean;
  /** The view shows all projects, with or without filters. */
  unfiltered?: boolean;
}>;

interface Connection {
  status: "connecting" | "live" | "catching-up" | "reconnecting" | "stale";
  /** Events that are not applied yet. */
  behind: number;
  /** Instant of the next attempt, as `performance.now()`. */
  retryAt: number | null;
  staleSince: number | null;
  reason: string;
}

interface Toast {
  id: number;
  text: string;
  hint: string;
  tone: "ok" | "error";
  /** An error because the server cannot be reached. It ends when the page is live again. */
  offline: boolean;
  /** The time of its first display in milliseconds of the page. */
  since: number;
  slot: string;
  undo: (() => unknown) | null;
  undoName: string;
  /** Show more about it. */
  more: (() => unknown) | null;
  moreName: string;
}

interface Dialog {
  id: number;
  kind: string;
  props: Record<string, any>;
}

/** Tasks by status. */
type Columns = Record<Status, Task[]>;

interface State {
  loaded: boolean;
  failure: ApiFailure | null;
  /** Progress in tasks of a board that loads in pages. */
  loading: { read: number; total: number } | null;
  projects: Map<number, Project>;
  /** Ids of archived projects, as of the board and later events. */
  archived: Set<number>;
  epics: Map<number, Epic>;
  tasks: Map<number, Task>;
  columns: Columns;
  /** Ids of the tasks that depend on a task, or that name it as a conflict. */
  dependents: Map<number, Set<number>>;
  conflicts: Map<number, Set<number>>;
  /** Ids of the subtasks of a task. */
  subtasks: Map<number, Set<number>>;
  /** Ids of the tasks that must be read, because the last events do not have all that changed. */
  incomplete: Set<number>;
  agents: Map<string, AgentView>;
  /** The active pauses, at most 100. */
  pauses: PauseView[];
  /** The messages that need a person, at most 100, and a counter of their reads. */
  messages: MessageView[];
  messageRevision: number;
  savedViews: SavedView[];
  /** Id of the saved view that was opened last. */
  openedView: number | null;
  events: OutboxEvent[];
  seq: number;
  epoch: string | null;
  /** One counter for each kind. Views compare counters instead of whole maps. */
  revision: {
    tasks: number;
    plans: number;
    events: number;
    agents: number;
    /** Statuses, dependencies and parents of tasks. */
    waiting: number;
  };
  connection: Connection;
  serverVersion: string | null;
  session: Session | null;
  signIn: boolean;
  /** Reason for a second sign-in. */
  whySignIn: "ended" | "asked" | null;
  route: Route;
  /** Whether descriptions are truncated, and the tasks that the server found in their remaining text. */
  shortened: boolean;
  found: { q: string; ids: Set<number> };
  dialogs: Dialog[];
  toasts: Toast[];
  /** Task of the keyboard cursor. */
  cursor: number | null;
  /** Ids of the selected tasks. */
  selected: Set<number>;
  /** An edit of many tasks is without a response. */
  editing: boolean;
  /** The task with a name that is edited in place. */
  renaming: number | null;
  /** Tasks with a write of this page that the server has not answered. */
  pending: Set<number>;
}

interface Actions {
  board: { board: Board };
  loading: { read: number; total: number };
  failure: { error: ApiFailure };
  events: { events: OutboxEvent[] };
  history: { events: OutboxEvent[] };
  tasks: { tasks: Task[]; gone?: number[] };
  pending: { id: number; on: boolean };
  plans: { projects?: Project[]; epics?: Epic[] };
  agents: { agents: AgentView[] };
  agentsSeen: { agents: AgentView[] };
  pauses: { pauses: PauseView[] };
  messages: { messages: MessageView[] };
  savedViews: { views: SavedView[] };
  openedView: { id: number | null };
  connection: { connection: Partial<Connection> };
  version: { version: string };
  session: { session: Session; another: boolean };
  signIn: { why: State["whySignIn"] };
  found: { q: string; ids: Set<number> };
  route: { route: Route };
  cursor: { id: number };
  selected: { selected: Set<number> };
  editing: { on: boolean };
  renaming: { id: number | null };
  openDialog: { dialog: Dialog };
  closeDialog: { id: number };
  toast: { toast: Toast };
  dismissToast: { id: number };
}

type Action = { [Type in keyof Actions]: { type: Type } & Actions[Type] }[keyof Actions];
type Reducers = { [Type in keyof Actions]: (state: State, action: Actions[Type]) => void };
