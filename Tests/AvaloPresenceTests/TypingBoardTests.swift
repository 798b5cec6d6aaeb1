import AvaloTesting
import AvaloWire
import Testing

@testable import AvaloPresence

/// Who is typing where, and what goes out about it.
@Suite struct TypingBoardTests {
  private let session = SessionKey(incarnation: 7, session: 1)

  private func set(
    _ board: inout TypingBoard, _ isTyping: Bool, user: String = "ann", chat: String = "c", at time: Int64,
    session: SessionKey? = nil
  ) {
    board.set(
      SetTyping(user: user, chat: chat, session: session?.session ?? 0, device: "d", isTyping: isTyping),
      session: session, at: time)
  }

  /// What goes out, with what is left of it in milliseconds.
  private func sent(_ board: inout TypingBoard) -> [String] {
    board.takeOutgoing().map { $0.isTyping ? "on \($0.expiresMilliseconds)" : "off" }
  }

  private enum State: String, CaseIterable {
    /// Nothing is known.
    case absent
    /// Shown, said more than a second ago.
    case typing
    /// Shown, said just now.
    case justTyping
    /// Stopped just now.
    case justStopped
    /// Typing again within the second: to be sent.
    case waitingToType
    /// Stopped within the second: to be sent.
    case waitingToStop
  }

  /// A board in that state at 10 s, with nothing left to send.
  private func board(_ state: State) -> TypingBoard {
    var board = TypingBoard(after: 100)
    switch state {
    case .absent: break
    case .typing: set(&board, true, at: 8000, session: session)
    case .justTyping: set(&board, true, at: 9900, session: session)
    case .justStopped: set(&board, false, at: 9900, session: session)
    case .waitingToType:
      set(&board, false, at: 9900, session: session)
      set(&board, true, at: 10_000, session: session)
    case .waitingToStop:
      set(&board, true, at: 9900, session: session)
      set(&board, false, at: 10_000, session: session)
    }
    _ = board.takeOutgoing()
    return board
  }

  /// Every state with every event at 10 s: what goes out at once, what goes out within the next second, and whether the user
  /// is typing then.
  @Test func everyStateWithEveryEvent() {
    let table: [(String, State, now: [String], later: [String], isTyping: Bool)] = [
      ("on", .absent, ["on 5000"], [], true),
      ("on", .typing, ["on 5000"], [], true),
      ("on", .justTyping, [], ["on 4000"], true),
      ("on", .justStopped, [], ["on 4000"], true),
      ("on", .waitingToType, [], ["on 4000"], true),
      ("on", .waitingToStop, [], ["on 4000"], true),
      ("off", .absent, ["off"], [], false),
      ("off", .typing, ["off"], [], false),
      ("off", .justTyping, [], ["off"], false),
      ("off", .justStopped, [], ["off"], false),
      ("off", .waitingToType, [], ["off"], false),
      ("off", .waitingToStop, [], ["off"], false),
      ("message", .absent, [], [], false),
      ("message", .typing, [], [], false),
      ("message", .justTyping, [], [], false),
      ("message", .justStopped, [], [], false),
      ("message", .waitingToType, [], ["on 4000"], true),
      ("message", .waitingToStop, [], [], false),
      ("message to an inbox", .absent, [], [], false),
      ("message to an inbox", .typing, ["off"], [], false),
      ("message to an inbox", .justTyping, [], ["off"], false),
      ("message to an inbox", .justStopped, [], [], false),
      ("message to an inbox", .waitingToType, [], ["on 4000"], true),
      ("message to an inbox", .waitingToStop, [], ["off"], false),
      ("gone", .absent, [], [], false),
      ("gone", .typing, ["off"], [], false),
      ("gone", .justTyping, [], ["off"], false),
      ("gone", .justStopped, [], [], false),
      ("gone", .waitingToType, [], [], false),
      ("gone", .waitingToStop, [], ["off"], false),
      ("nothing", .absent, [], [], false),
      ("nothing", .typing, [], [], true),
      ("nothing", .justTyping, [], [], true),
      ("nothing", .justStopped, [], [], false),
      ("nothing", .waitingToType, [], ["on 4000"], true),
      ("nothing", .waitingToStop, [], ["off"], false),
    ]
    #expect(table.count == 6 * State.allCases.count)
    for (event, state, now, later, isTyping) in table {
      var board = board(state)
      switch event {
      case "on": set(&board, true, at: 10_000, session: session)
      case "off": set(&board, false, at: 10_000, session: session)
      case "message", "message to an inbox":
        let sequence = board.entries["ann"]?["c"]?.sequence ?? 101
        let ended = TypingEnded(user: "ann", chat: "c", sequence: sequence, isForOthers: event != "message")
        // Each gateway that delivered it says so.
        for _ in 0..<2 { board.ended(ended, at: 10_000) }
      case "gone": board.closed(session, user: "ann", at: 10_000)
      default: break
      }
      let first = sent(&board)
      board.tick(at: 11_000)
      let second = sent(&board)
      let what: Comment = "\(event) in \(state.rawValue)"
      #expect(first == now, what)
      #expect(second == later, what)
      #expect((board.chats(of: "ann") == ["c"]) == isTyping, what)
      // In the end nothing is left.
      board.tick(at: 16_000)
      board.tick(at: 17_000)
      #expect(board.count == 0 && board.entries.isEmpty, what)
    }
  }

  @Test func endsAfterFiveSecondsWithoutAWord() {
    var board = TypingBoard(after: 0)
    set(&board, true, at: 0)
    set(&board, true, at: 3000)
    #expect(sent(&board) == ["on 5000", "on 5000"])
    board.tick(at: 7999)
    #expect(board.chats(of: "ann") == ["c"])
    board.tick(at: 8000)
    #expect(board.chats(of: "ann") == [])
    #expect(sent(&board) == [], "gateways end it by themselves")
  }

  @Test func oneGoesOutASecondForEachUserAndChat() {
    var random = TestRandom(seed: 3)
    var board = TypingBoard(after: 0)
    var last: [String: Int64] = [:]
    var count = 0
    for time in stride(from: Int64(0), to: 60_000, by: 50) {
      for user in ["ann", "bob"] {
        for chat in ["c", "d"] where Int.random(in: 0..<3, using: &random) == 0 {
          set(&board, Bool.random(using: &random), user: user, chat: chat, at: time)
        }
      }
      if time % 100 == 0 { board.tick(at: time) }
      for indicator in board.takeOutgoing() {
        let key = indicator.user + indicator.chat
        if let last = last[key] { #expect(time - last >= 1000) }
        last[key] = time
        count += 1
      }
    }
    #expect(count > 200)
  }

  /// A message ends what it ends: what the user types after it is the next one.
  @Test func anOldMessageEndsNothingNew() {
    var board = TypingBoard(after: 0)
    set(&board, true, at: 0)
    let first = board.takeOutgoing()[0].sequence
    set(&board, true, at: 2000)
    board.ended(TypingEnded(user: "ann", chat: "c", sequence: first, isForOthers: false), at: 2001)
    #expect(board.chats(of: "ann") == ["c"])
  }

  @Test func onlyTheSessionThatTypesEndsIt() {
    var board = TypingBoard(after: 0)
    set(&board, true, at: 0, session: session)
    board.closed(SessionKey(incarnation: 8, session: 1), user: "ann", at: 2000)
    #expect(board.chats(of: "ann") == ["c"])
    board.closed(session, user: "ann", at: 2000)
    #expect(board.chats(of: "ann") == [] && sent(&board) == ["on 5000", "off"])
  }

  @Test func isBounded() {
    var board = TypingBoard(after: 0)
    for chat in 0..<20 { set(&board, true, chat: "c\(chat)", at: 0) }
    #expect(board.chats(of: "ann").count == 8 && board.takeDropped() == 12)
    board.tick(at: 5000)
    board.tick(at: 6000)
    set(&board, true, chat: "another", at: 6000)
    #expect(board.chats(of: "ann") == ["another"] && board.takeDropped() == 0)
  }
}
