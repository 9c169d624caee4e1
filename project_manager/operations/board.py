"""The operation that reads the board."""

from project_manager.domain.errors import ProjectNotFound, ResponseTooLarge
from project_manager.operations.definition import Operation
from project_manager.schemas.board import GetBoardState
from project_manager.services import board

BOARD = (
    Operation(
        "get_board_state",
        board.state,
        GetBoardState,
        board.BoardView,
        http="GET /api/board/state",
        snapshot=board.EncodedBoard,
        raises=(ProjectNotFound, ResponseTooLarge),
    ),
)
