// Data of the views and forms, then the properties of components whose list is too long for one line.

/** An entry of the command palette. */
interface Entry {
  id: string;
  name: string;
  /** Text at the end of the line. */
  kind?: string;
  icon?: string;
  /** The status whose icon is shown. */
  status?: Status;
  keys?: string;
  /** The current value. */
  present?: boolean;
  /** Ends the task, and is never preselected. */
  closing?: boolean;
  run?: () => unknown;
}

/** An entry of the palette with the score of its match. */
type Scored = [score: number, entry: Entry];

/** A command of the palette, the keyboard and the help. */
interface Command {
  id: string;
  name: string;
  /** The shortcut, and further keys with the same effect. */
  keys?: string;
  also?: string[];
  /** The keys in the help, if they are too many. */
  caps?: string;
  /** Section of the help. */
  group?: string;
  icon?: string;
  /** Not in the palette. */
  hidden?: boolean;
  /** Needs write permission. */
  write?: boolean;
  /** Works on the board only. */
  board?: boolean;
  /** A held key acts once. */
  once?: boolean;
  fits?: () => unknown;
  /** `typed` is the pressed key, for a command with several. */
  run?: (typed?: string) => unknown;
  /** Does the same for all selected tasks, and its name then. */
  many?: (tasks: Task[]) => unknown;
  /** Needs a current task. */
  task?: { act: (task: Task) => unknown; fits: (task: Task) => boolean };
}

/** A decision of the user about a waiting task. */
interface Decision {
  name: string;
  primary?: boolean;
  /** In place of the name, where room is short. */
  icon?: string;
  /** The key while the row or the task is chosen. */
  keys?: string;
  /** A longer name, for the title of the button. */
  hint?: string;
  act: (task: Task) => unknown;
}

/** The kinds of work that waits on a person. */
type WaitingKind = "rounds" | "questions" | "attempts" | "review" | "blocked" | "cancelled" | "no-holder";

/** The numbers of tasks that wait on a person. `stuck` are those that are neither in review nor blocked. */
type WaitingNumbers = Record<"reviews" | "questions" | "blocked" | "stuck", number>;

/** A group of the tasks that need a person. */
interface NeedGroup {
  id: string;
  title: string;
  explain: string;
  actions: Decision[];
}

/** The present tasks of a group. */
interface Group {
  group: NeedGroup;
  tasks: Task[];
}

/** A visible task of a group. `before` is the task as it was when the list was frozen. */
interface Row {
  key: string;
  gone: boolean;
  deleted: boolean;
  before: Task;
  task: Task;
}

/** A visible message of the list. */
interface MessageRow {
  key: string;
  message: MessageView;
  gone: boolean;
}

/** The tasks and messages that need a person. */
interface NeedList {
  groups: Group[];
  messages: MessageView[];
}

/** Run an act of the user on a row, unless its click missed the row. */
type OnAct = (event: MouseEvent, act: () => unknown) => void;

/** A field of a task that people edit, as the server describes it in the page. */
interface TaskField {
  name: string;
  kind: string;
  title: string;
  hint: string;
  required: boolean;
}

/** The input of a value of one kind, and the value of an input. */
interface Conversion {
  toInput: (value: any) => unknown;
  toValue: (input: any, field: TaskField) => unknown;
}

/** The inputs of the form of a task, by the name of the field. */
interface TaskValues extends Record<string, any> {
  project_id: number | "";
  status: Status;
}

interface TaskInputProps extends Record<string, unknown> {
  name: string;
  form: Record<string, any>;
  self?: number;
}

/** The part of a token of markdown-it that the dashboard reads. `meta` is set by the dashboard. */
interface Token {
  type: string;
  tag: string;
  nesting: number;
  level: number;
  hidden: boolean;
  content: string;
  children: Token[] | null;
  meta: any;
  attrGet(name: string): any;
}

/** An element whose closing token has not been read. */
interface OpenElement {
  token: Token;
  nodes: any[];
}

/** Numbers of tasks by status, of each project and each epic. */
interface Tally {
  projects: Map<number, Counts>;
  epics: Map<number, Counts>;
}
type Counts = Partial<Record<Status, number>>;

interface Size {
  width: number;
  height: number;
}

/** The visible part of a drawing. */
interface ViewBox extends Size {
  x: number;
  y: number;
}

/** Actions on the view of a drawing. `touch` records that the user has moved it. */
interface PanZoom {
  touch: () => void;
  move: (change: (old: ViewBox) => ViewBox) => void;
  zoom: (factor: number, place?: [number, number]) => void;
  fit: () => void;
}

/** A task, or a placeholder of an edge, in the graph of dependencies. */
type GraphKey = number | string;
type GraphLinks = Total<GraphKey, GraphKey[]>;

interface GraphLayout extends Size {
  nodes: { id: number; x: number; y: number }[];
  edges: { from: number; to: number; longest: boolean; points: number[][] }[];
  /** Vertical middle of the first layer. */
  beginning: number;
  /** Ids of the tasks on one longest chain. */
  longest: Set<number>;
}

/** A lease in a drawing. */
interface LaneBar {
  key: string;
  task: number;
  name: string;
  since: number;
  until: number;
  end: string;
}

/** Bars that are drawn as one, in pixels. `isNarrow` is whether they are too short to tell apart. */
interface BarGroup {
  begin: number;
  width: number;
  bars: LaneBar[];
  isNarrow: boolean;
}

interface BarGroupProps {
  group: BarGroup;
  y: number;
  words: string;
  /** It is in the order of the Tab key. */
  first: boolean;
  onShow: (words: string) => void;
}

interface TimelineProps {
  agent: string;
  bars: LaneBar[];
  /** Start and length of the drawing, in milliseconds. */
  from: number;
  length: number;
  /** Leases before `known` and after `until` are unknown. `until` is null before the first answer. */
  known: number;
  until: number | null;
  /** The first call of the agent. */
  first: number;
  /** The range in words. */
  words: string;
}

type Lane = [agent: string, bars: LaneBar[]];

interface LaneScale {
  width: number;
  /** Start of the bars, after the names. */
  begin: number;
  letters: number;
  narrow: boolean;
  x: (share: number) => number;
}

/** A series of a chart. `shape` is its mark. */
interface FlowSeries {
  id: string;
  name: string;
  shape: string;
  value: (point: FlowPointView) => number | null;
}

interface FlowChart {
  id: string;
  title: string;
  kind: "bars" | "lines" | "areas";
  unit: "count" | "time";
  note?: string;
  series: FlowSeries[];
  /** The columns of the table: [name, value]. The default is the series. */
  columns?: [name: string, value: (point: FlowPointView) => number | null][];
}

/** The places of values and points in a drawing, in pixels. */
interface FlowScale {
  width: number;
  /** Start of the first point, after the labels of the axis. */
  begin: number;
  /** Width of one point. */
  step: number;
  ticks: { tick: number; text: string }[];
  left: (index: number) => number;
  middle: (index: number) => number;
  y: (value: number) => number;
  indexAt: (x: number) => number;
}

interface FlowFigure {
  id: string;
  name: string;
  value: string | null;
  more: string;
  change: FlowChange | null;
}

interface DrawingProps {
  series: FlowSeries[];
  periods: FlowPeriod[];
  scale: FlowScale;
}

interface BandNamesProps {
  series: FlowSeries[];
  /** The bottom and the top of each band at each point, or null where nothing is known. */
  levels: (number[][] | null)[];
  scale: FlowScale;
}

interface ChartProps {
  chart: FlowChart;
  periods: FlowPeriod[];
  step: number;
  /** The point of the crosshair, in all charts. */
  at: number | null;
  onPoint: (at: number | null) => void;
  targetOf: (period: FlowPeriod) => RouteChanges;
}

type AsTableProps = Pick<ChartProps, "chart" | "periods" | "step" | "targetOf">;

interface CardProps {
  task: Task;
  epic: string | null;
  project: string | null;
  /** The card that the tab key reaches. */
  focusable: boolean;
  open: boolean;
  pending: boolean;
  selected: boolean;
  /** The ids of its column, in order. */
  order: () => number[];
}

interface CardsProps {
  status: Status;
  tasks: Task[];
  several: boolean;
  writer: boolean;
}

interface CheckProps extends Record<string, unknown> {
  name: string;
  checked: boolean;
  onChange: (checked: boolean) => void;
}

interface ChoiceProps {
  label: string;
  name: string;
  value: string | number | null;
  options: Choice[];
  any: string;
  onChange?: (value: string | null) => void;
  testid?: string;
}

interface ColumnProps {
  status: Status;
  tasks: Task[];
  /** Tasks of several projects are visible. */
  several: boolean;
  folded: boolean;
  current: boolean;
  onFold: (status: Status) => void;
}

interface ConfirmProps {
  id: number;
  title: string;
  body: string;
  list?: string[];
  confirm: string;
  danger?: boolean;
  answer: (yes: boolean) => void;
}

interface DialogProps {
  id: number;
  title: string;
  wide?: boolean;
  plain?: boolean;
  role?: string;
  dirty?: boolean;
  onClose?: () => void;
  children: any;
}

interface DueFieldProps {
  label: string;
  value: any;
  onChange: (value: any) => void;
  error?: string;
}

interface EntryProps {
  entry: Entry;
  active: boolean;
  onChoose: (entry: Entry) => void;
}

interface FieldProps {
  label: string;
  name?: string;
  kind?: string;
  value: any;
  onChange: (value: any) => void;
  error?: string;
  hint?: string;
  options?: Choice[];
}

interface FoldedProps {
  status: Status;
  total: number;
  onFold: () => void;
}

interface FormErrorProps {
  error: ApiFailure | null;
  shown: string[];
  children?: any;
}

interface FormFootProps {
  onCancel: () => void;
  busy: boolean;
  confirm: string;
  children?: any;
  danger?: boolean;
  /** The button that submits has the focus first. */
  focused?: boolean;
}

interface GroupProps {
  group: NeedGroup;
  rows: Row[];
  writer: boolean;
  onAct: OnAct;
}

interface MenuEntryProps {
  icon: string;
  name: string;
  onClick: () => void;
  first?: boolean;
  /** Only in a small bar. */
  folded?: boolean;
}

interface MoveCommentDialogProps {
  id: number;
  task: Task;
  status: Status;
  title: string;
  label: string;
  required: boolean;
  error?: string;
  hint: string;
  answer: (comment: string | null) => void;
}

interface NeedProps {
  row: Row;
  actions: Decision[];
  writer: boolean;
  words: boolean;
  onAct: OnAct;
}

interface NodeProps {
  task: Task;
  x: number;
  y: number;
  longest: boolean;
  far: boolean;
  /** Matches the search. */
  found: boolean;
  /** The number of tasks that it holds back, and the largest such number. */
  held: number;
  most: number;
}

interface NotFoundInProps {
  projects: State["projects"];
  epics: State["epics"];
  route: Route;
}

interface NoticeSwitchProps {
  settings: NoticeSettings;
  change: (changes: Partial<NoticeSettings>) => void;
}

interface PaletteProps {
  id: number;
  title?: string;
  entries?: Entry[];
  /** The entry for a text that no entry has. */
  typed?: (text: string) => Entry;
  /** Preselect no entry. */
  none?: boolean;
}

/** The question before many tasks change. */
interface ManyQuestion {
  title: string;
  body: string;
  /** The tasks with a lease. */
  held?: Task[];
  note?: { label: string; required: boolean };
  confirm: string;
  danger?: boolean;
  answer?: (choices: ManyChoices | null) => void;
}

interface ManyChoices {
  note: string;
  force: boolean;
}

interface ProjectFormProps {
  id: number;
  project?: Project;
  intro?: string;
  confirm?: string;
  then?: (project: Project) => void;
}

interface ProjectProps {
  project: Project;
  numbers: Tally;
  known: number | undefined;
  writer: boolean;
}

/** A submission, and the content of the task at that time if it is known. */
interface Round {
  submission: SubmissionView;
  content: TaskContent | null;
}

interface RowButtonProps {
  action: Decision;
  label: string;
  onClick: (event: MouseEvent) => void;
}

interface TaskFormProps {
  id: number;
  task?: Task;
  status?: Status;
  project?: number;
  /** The parent of a new subtask. */
  parent?: Task;
}

interface TaskLinkProps {
  id: number;
  name?: string;
  status?: Status;
  short?: boolean;
  bare?: boolean;
}

interface TaskPickerProps {
  label: string;
  value: number[];
  onChange: (value: any) => void;
  error?: string;
  project: number;
  self?: number;
}

interface ToolsProps {
  kind: "project" | "epic";
  item: Project | Epic;
  counts?: Counts;
  children?: any;
}

interface BlankProps {
  kind: string;
  x: number;
  end: number;
  y?: number;
  height: number;
  title: string;
}

interface UsePlanFormProps {
  id: number;
  kind: "project" | "epic";
  item: Project | Epic | undefined;
  initial: Record<string, any>;
  body: (values: any) => Record<string, unknown>;
  then?: (item: any) => void;
}

interface SelectBoxProps {
  task: Task;
  selected: boolean;
  /** The tab key reaches it. */
  focusable: boolean;
  /** The ids of the list of the task, in order. */
  order: () => number[];
}

/** An action on the selected tasks. `wide` ones have no button on a narrow page. */
interface BarAction {
  id: string;
  icon: string;
  name: string;
  title?: string;
  act: (tasks: Task[]) => unknown;
  wide?: boolean;
}

/** A step of the import. */
interface PaneProps {
  now: ImportState;
  choose: (file?: File | null) => void;
  change: (part: Partial<ImportOptions>) => void;
  close: () => void;
}

/** A client of MCP or REST, with its configuration. `token` is empty on a server without tokens. */
interface McpClient {
  id: string;
  name: string;
  where: string;
  text: (place: { url: string; origin: string; token: string }) => string;
  tokenHint?: string;
  /** Uses REST and reads no prompt. */
  isProgram?: boolean;
}

interface StartCardProps {
  icon: string;
  title: string;
  text: string;
  action: string;
  onClick: () => void;
  testid: string;
  primary?: boolean;
  busy?: boolean;
}

interface GraphQuestionsProps {
  route: Route;
  waiting: boolean;
  closed: boolean;
  onClosed: (closed: boolean) => void;
}

interface DrawingProps {
  drawing: GraphLayout;
  fitKey: string;
  /** The number of tasks that a task holds back. */
  held: Map<number, number>;
}

interface PopoverProps {
  id: string;
  icon: string;
  /** Text of the button. */
  name: string;
  /** Name for screen readers. */
  label: string;
  active?: boolean;
  count?: number;
  /** Muted text after the name. */
  mark?: string;
  testid: string;
  children: (close: () => void) => any;
}

interface NameFormProps {
  label: string;
  initial?: string;
  confirm: string;
  send: (name: string) => Promise<unknown>;
  then: () => void;
  testid: string;
}

interface SavedViewLineProps {
  view: SavedView;
  present: boolean;
  operator: boolean;
  close: () => void;
}

/** A row of the table: a task, or the head of a group. */
interface TableRow {
  id: number;
  task?: Task;
  key?: string;
  name?: string;
  /** Number of tasks of the group. */
  count?: number;
  folded?: boolean;
}

interface TableColumn {
  id: string;
  title: string;
  value: (now: State, task: Task) => string | number | null;
}

interface TableGrouping {
  title: string;
  keys: (now: State, task: Task) => string[];
  name: (now: State, key: string) => string;
  order?: (key: string) => number;
}

interface TableTaskProps {
  id: number;
  task: Task;
  index: number;
  project: string;
  epic: string;
  focusable: boolean;
  open: boolean;
  pending: boolean;
  selected: boolean;
  selects: boolean;
  renaming: boolean;
  order: () => number[];
}

interface EditableProps {
  task: Task;
  name: string;
  able: boolean;
  focusable: boolean;
  ask: (tasks: Task[]) => unknown;
  children?: any;
}

interface FilterChip {
  name: string;
  text: string;
  without: RouteChanges;
}
