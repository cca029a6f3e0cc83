"""Every error Askfirst raises, in one tree.

    AskfirstError
    ├── UsageError      the caller's mistake: exit code 2
    ├── RunError        this run failed: exit code 1
    └── ToolRetry       the model may mend it itself; only agent/nodes.py catches it

Each message names what happened and the next act in one line; the facts are attributes.
"""

from collections.abc import Iterable


class AskfirstError(Exception):
    """Anything that Askfirst raises on purpose."""


class UsageError(AskfirstError):
    """The caller asked for something that cannot be done as asked."""


class RunError(AskfirstError):
    """The call was right, but this run of it failed."""


class ToolRetry(AskfirstError):
    """A tool's refusal, written for the model: what was wrong with the call and what would be right."""


class SettingInvalid(UsageError):
    def __init__(self, name: str, problem: str, *, known: Iterable[str]):
        self.name = name
        super().__init__(f"Setting '{name}': {problem}. Known settings: {', '.join(known)}.")


class CollectionMissing(UsageError):
    def __init__(self, name: str, *, known: Iterable[str]):
        self.name, self.known = name, tuple(known)
        listed = ", ".join(self.known) or "none yet; run `askfirst ingest PATH`"
        super().__init__(f"No collection '{name}'. Known: {listed}.")


class EmbedderMismatch(UsageError):
    def __init__(self, collection: str, *, stored: str, present: str):
        super().__init__(
            f"Collection '{collection}' was embedded by {stored}, this machine has {present}. "
            f"Ingest it again into a new collection: `askfirst ingest PATH --collection NEW`."
        )


class QuestionTooLong(UsageError):
    def __init__(self, length: int, *, limit: int):
        super().__init__(
            f"The question has {length:,} characters, the limit is {limit:,}. Ingest long text as a document instead."
        )


class QuestionEmpty(UsageError):
    def __init__(self) -> None:
        super().__init__("The question is empty. Write what you want to know.")


class LineInvalid(UsageError):
    def __init__(self, path: object, number: int, problem: str, *, act: str = "run the batch again; nothing is lost"):
        super().__init__(f"Line {number} of {path} cannot be used: {problem}. Mend the line and {act}.")


class NothingToTrain(UsageError):
    def __init__(self, problem: str, *, act: str = "Name a data folder with --data or files with --own"):
        super().__init__(f"There is nothing to train on: {problem}. {act}.")


class CasesInvalid(UsageError):
    def __init__(self, path: object, problem: str):
        super().__init__(f"The cases in {path} cannot be used: {problem}. `askfirst eval --help` shows their form.")


class ToolMissing(UsageError):
    def __init__(self, name: str, *, known: Iterable[str]):
        super().__init__(f"No tool '{name}'. Known: {', '.join(known) or 'none'}. Name the module of others with --tools.")


class ToolInvalid(UsageError):
    def __init__(self, name: str, problem: str):
        super().__init__(f"Tool '{name}' cannot be used so: {problem}.")


class ToolFailed(RunError):
    def __init__(self, name: str, problem: str):
        super().__init__(
            f"Tool '{name}' failed: {' '.join(problem.split()).rstrip('.')}. "
            "Nothing was changed; try again or look into the tool."
        )


class ProposalMissing(UsageError):
    def __init__(self, id: str):
        super().__init__(f"No proposal '{id}'. `askfirst proposals list` shows those that wait.")


class ProposalDecided(UsageError):
    def __init__(self, id: str, *, state: str, by: str | None):
        self.state = state
        super().__init__(f"Proposal {id} is already {state}{f' (by {by})' if by else ''}; nothing was done.")


class ProposalInvalid(UsageError):
    def __init__(self, tool: str, problem: str):
        super().__init__(f"This call of {tool} cannot be proposed: {problem}")


class ProposalChanged(UsageError):
    def __init__(self, id: str, problem: str):
        super().__init__(f"Proposal {id} is not what was looked at: {problem}. Look again: `askfirst proposals show {id}`.")


class LedgerFault(RunError):
    def __init__(self, id: str, problem: str):
        super().__init__(f"Proposal {id} cannot be executed: {problem}. Run `askfirst audit verify`.")


class DatabaseUnfit(UsageError):
    def __init__(self, problem: str, *, act: str):
        super().__init__(f"This database cannot be used: {problem}; {act}.")


class NothingToIngest(UsageError):
    def __init__(self, path: str, problem: str):
        super().__init__(
            f"Nothing to ingest: {path} {problem}. Give files or folders with .md, .txt, .html, .pdf or .docx files."
        )


class DocumentMissing(UsageError):
    def __init__(self, name: str, *, collection: str):
        super().__init__(f"No document '{name}' in collection '{collection}'. `askfirst search` shows names of documents.")


class EmbedderMissing(UsageError):
    def __init__(self, problem: str, *, command: str):
        super().__init__(f"The embedding model all-MiniLM-L6-v2 is not there: {problem}. Run: {command}")


class DatabaseDown(RunError):
    def __init__(self, problem: str):
        super().__init__(f"The database does not answer: {problem.rstrip('.?')}. `askfirst doctor` tells more.")


class ModelMissing(UsageError):
    def __init__(self, name: str, *, known: Iterable[str]):
        super().__init__(
            f"No model '{name}'. Known: {', '.join(known) or 'none; install Askfirst again'}. "
            "`askfirst model list` shows those that `askfirst model pull NAME` fetches."
        )


class AdapterMissing(UsageError):
    def __init__(self, name: str, *, model: str, known: Iterable[str]):
        super().__init__(f"Model '{model}' has no adapter '{name}'. Known: {', '.join(known) or 'none'}; 'none' asks the base.")


class AdapterUnproved(UsageError):
    def __init__(self, name: str, *, model: str, problem: str):
        super().__init__(
            f"Adapter '{name}' of model '{model}' is not loaded: {problem}. Measure it with "
            f"`askfirst tune compare --model {model} --adapter {name}`, or load it unproved with --force or ASKFIRST_FORCE=1."
        )


class ModelUnreadable(RunError):
    def __init__(self, path: object, problem: str):
        super().__init__(f"The model files in {path} cannot be used: {problem}. Copy or pull the model again.")


class ModelPullFailed(RunError):
    def __init__(self, name: str, problem: str):
        super().__init__(
            f"Model '{name}' could not be fetched: {problem}. The shipped model needs no network: ASKFIRST_MODEL=askfirst-5m."
        )


class BaseMissing(UsageError):
    def __init__(self, path: object, problem: str):
        super().__init__(
            f"No model to train from at {path}: {problem}. Name another with --base: a model's folder or its GGUF file."
        )


class RecipeInvalid(UsageError):
    def __init__(self, problem: str, *, known: Iterable[str], has: str = "one table of"):
        super().__init__(f"This recipe cannot be used: {problem}. A recipe has {has}: {', '.join(known)}; see finetune/recipes.")


class ModelServerFailed(RunError):
    def __init__(self, problem: str, *, log: object):
        super().__init__(f"The model server did not start: {problem}. Its log: {log}")


class ModelDown(RunError):
    def __init__(self, url: str, problem: str):
        super().__init__(f"The model server at {url} does not answer: {problem}. `askfirst doctor` tells more.")


class ModelReplyInvalid(RunError):
    def __init__(self, wanted: str, reply: str):
        super().__init__(f"The model's reply is not {wanted}: {reply[:200]!r}. Try again, or try another model.")
