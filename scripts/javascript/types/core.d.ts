// Types that the modules of core/ and their callers share.

/** The response to GET, with the stricter types of this file. */
type Answer<Path> =
  Path extends "/api/board/state" ? Board
  : Path extends `/api/tasks/${number}` ? Task
  : Path extends `/api/agents/${string}/logs` ? GetAnswers[`/api/tasks/${number}/log`]
  : Path extends keyof GetAnswers ? GetAnswers[Path]
  : any;

interface RequestOptions {
  body?: unknown;
  /** The version that the change is based on. */
  version?: number;
  /** The idempotency key. */
  key?: string;
}

interface ApiFailure extends Error {
  status: number;
  code: string;
  hint: string;
  details: Record<string, any>;
  fieldErrors: Record<string, string>;
  /** The task with the conflicting change. */
  fresh?: Task;
}

/** The body of a status change. */
interface Move {
  status: Status;
  reopen?: true;
  force?: true;
  note?: string;
}

/** The part of a lease that questions to the user name. */
type LockHolder = Pick<LockView, "holder" | "expires_at" | "kind">;

/** The former values of a task, and the version at which they may be restored. */
interface UndoItem {
  id: number;
  version: number;
  [field: string]: unknown;
}

/** An act of the user in this tab. It has `items`, `opposite` or `why`. */
interface Act {
  /** The sentence about it. */
  name: string;
  /** The sentence about its undo, if it concerns one task. */
  undone?: string;
  /** What undoes it, and the versions of its tasks before it, by the id of the task. */
  items?: Map<number, UndoItem>;
  before?: Map<number, number>;
  /** Undo it in another way than by an edit of tasks. */
  opposite?: () => Promise<unknown>;
  /** The reason why it cannot be undone. */
  why?: string;
  status?: Status;
}

/** The response to an edit of many tasks. */
interface EditedTasks {
  matched: number;
  changed: number;
  unchanged: number;
  refused: RefusedTask[];
  refused_total: number;
  changed_since: number[];
  tasks: number[];
  undo: { tasks: UndoItem[] } | null;
}

interface RefusedTask {
  id: number;
  name: string;
  code: string;
  message: string;
}

/** The same changes for many tasks. */
interface EditMany {
  tasks: Task[];
  changes: Record<string, unknown>;
  /** Return the sentence about the result; `tasks` is "47 tasks". */
  done: (tasks: string) => string;
  note?: string;
  force?: boolean;
  /** The number of selected tasks that were not sent. */
  left?: number;
}

interface Draft {
  body: string;
  kind: string;
}

/** The details of a task, with its log, evidence and submission. */
type TaskDetails = GetAnswers[`/api/tasks/${number}/details`];

/** The effect of a verdict on submitted work. */
interface ReviewedView {
  status: string;
  missing: string[];
  submission: SubmissionView;
}

type TaskTest = (task: Task) => boolean;

type Timer = ReturnType<typeof setTimeout> | undefined;

/** A map that has an entry for each key that is looked up. */
interface Total<Key, Value> extends Map<Key, Value> {
  get(key: Key): Value;
}

/** A reference to an element, which the view library sets. */
type Ref = { current: any };
/** Value and text of an option of a select element. */
type Choice = readonly [value: string | number, text: string];

/** An event of the browser, as handlers read it. */
type UiEvent = Omit<KeyboardEvent & WheelEvent & PointerEvent & DragEvent, "target" | "currentTarget" | "dataTransfer"> & {
  target: any;
  currentTarget: any;
  dataTransfer: DataTransfer;
};

/** The connection of state/live.js. Instants are of `performance.now()`, except `downSince`. */
interface LiveConnection {
  socket: WebSocket | null;
  helloReceived: boolean;
  /** Closed sockets without a hello, while REST works: a proxy may block WebSockets. */
  failedHandshakes: number;
  /** Leases may have changed while the connection was down. */
  refreshPending: boolean;
  lastFrame: number;
  /** Attempts since the last success. */
  failures: number;
  timer: Timer;
  downSince: number | null;
  /** Event number of the server. */
  target: number;
  needsReload: boolean;
  reloading: boolean;
  /** Resyncs in short succession. */
  resyncs: number;
  resyncedAt: number;
  probing: boolean;
  /** Identity of the running polls. */
  polls: object | null;
}

interface FetchOptions {
  keep?: (item: any) => any;
  progress?: (read: number, total: number) => void;
  /** No page is read after this number of rows. */
  most?: number;
}

/** An import of a plan. Without `expected` it is a dry run. */
interface ImportRequest extends ImportOptions {
  name: string;
  bytes: ArrayBuffer;
  /** The digest of the dry run that the user has confirmed. */
  expected: string;
  progress: (share: number) => void;
}

interface ImportOptions {
  status: "keep" | "overwrite";
  prune: boolean;
}

/** The change of one resource by an import. */
interface PlanChange {
  change: keyof ChangeCounts;
  kind: "project" | "epic" | "task" | "knowledge";
  name: string;
  fields: string[];
  project: string;
  epic: string | null;
  values: { field: string; old: string; new: string }[];
}

/** The response to an import. */
interface ImportResult extends ChangeCounts {
  digest: string;
  changes: PlanChange[];
}

interface ChangeCounts {
  created: number;
  changed: number;
  unchanged: number;
  deleted: number;
}

/** The changes of an import in a project or an epic. `own` is the change of the project or the epic itself. */
interface ChangeGroup {
  name: string;
  counts: ChangeCounts;
  own: PlanChange | null;
  rows: PlanChange[];
  groups: Map<string, ChangeGroup>;
}

/** An error of a plan. */
interface PlanError {
  message: string;
  hint: string;
  line: number;
  column: number;
}

/** The state of an import. `outdated` is whether the difference changed between the dry run and the import. */
interface ImportState {
  step: "choose" | "checking" | "preview" | "importing" | "failed" | "done";
  options: ImportOptions;
  file?: File;
  bytes?: ArrayBuffer;
  share?: number;
  view?: ImportResult | null;
  error?: ApiFailure | null;
  outdated?: boolean;
}

/** The limits in the page, as `LIMITS` in web/dashboard.py lists them. */
type Limits = Record<
  | "BULK_TASKS" | "PAGE_MAXIMUM" | "LOG_LINES_AT_ONCE" | "NAME_CHARACTERS" | "REASON_CHARACTERS"
  | "VIEW_NAME_CHARACTERS" | "REVIEW_ROUNDS_MAXIMUM" | "EXCERPT_CHARACTERS"
  | "MESSAGE_CHARACTERS" | "QUESTION_CHARACTERS", number>;
