import AvaloCore
import Testing

@testable import AvaloClient

@Suite struct InboxTests {
  private let position = Position(epoch: Epoch(rawValue: 1), offset: 5)

  private func frame(_ text: String) throws -> ServerFrame { try ServerFrame(JSONText(validating: text)) }

  private func event(_ offset: Int, id: String? = nil, more: String = "") throws -> ServerFrame {
    try frame(
      #"{"event":{"eventId":"\#(id ?? "e\(offset)")","type":"chat_message","payload":{},"timestamp":1},"#
        + #""topic":"user:u","offset":\#(offset)\#(more)}"#)
  }

  private func live(_ offset: Int, epoch: String = "0000000000000001") throws -> ServerFrame {
    try frame(#"{"live":{"topic":"user:u","epoch":"\#(epoch)","offset":\#(offset)}}"#)
  }

  /// Resumed after offset 5, on a new connection.
  private func resumed() -> Inbox {
    var inbox = Inbox(userID: "u", positions: ["user:u": position])
    inbox.began(["user:u"], presenting: ["user:u": position])
    return inbox
  }

  private func take(_ frame: ServerFrame, _ inbox: inout Inbox) throws -> [Inbox.Item] {
    let items = inbox.take(frame)
    return try #require(items)
  }

  private func names(_ items: [Inbox.Item]) -> [String] {
    items.compactMap(\.update).map {
      switch $0 {
      case .event(let event): "\(event.eventID)\(event.isReplay ? " replay" : "")\(event.isAhead ? " ahead" : "")"
      case .gap(let gap): "gap \(gap.reason)"
      case .hole(_, let offsets): "hole \(offsets)"
      case .recovered(_, let events): "recovered \(events)"
      case .live(_, let position): "live \(position.offset)"
      case .unsubscribed(let topic, _): "unsubscribed \(topic)"
      default: "other"
      }
    }
  }

  @Test func handsEachEventOnOnceAndSaysWhenARecoveryIsOver() throws {
    var inbox = resumed()
    var items = try take(event(6), &inbox)
    items += try take(event(6), &inbox)
    items += try take(event(7), &inbox)
    items += try take(live(7), &inbox)
    items += try take(event(8), &inbox)
    #expect(names(items) == ["e6 replay", "e7 replay", "recovered 2", "live 7", "e8"])
    #expect(items.compactMap(\.reached).filter(\.isAcknowledged).map(\.position.offset) == [6, 7, 8])
  }

  /// Beside an encrypted payload, or in one that says them.
  @Test(arguments: [
    (#""payload":{"chatId":"c"},"messageId":"m""#, ["c", "m"]),
    (#""payload":{"chatId":"c","messageId":"m"}"#, ["c", "m"]), (#""payload":{}"#, [nil, nil]),
  ])
  func saysWhichMessageOfWhichChatAnEventIs(fields: String, expected: [String?]) throws {
    #expect(try ids(fields, in: "user:u") == [expected])
    // There it is that chat's, or none's.
    #expect(try ids(fields, in: "chat:c") == [["c", expected[1]]])
    #expect(try ids(fields, in: "chat:d") == [[expected[0] == nil ? "d" : nil, expected[1]]])
  }

  private func ids(_ fields: String, in topic: String) throws -> [[String?]] {
    var inbox = resumed()
    let items = try take(
      frame(
        #"{"event":{"eventId":"e6","type":"chat_message",\#(fields),"timestamp":1},"topic":"\#(topic)","offset":6}"#),
      &inbox)
    return items.compactMap(\.update).compactMap { update -> [String?]? in
      guard case .event(let event) = update else { return nil }
      return [event.chatID, event.messageID]
    }
  }

  /// Each publisher chooses ids of their own: another place, or another topic, is another event.
  @Test func theSameIDElsewhereIsAnotherEvent() throws {
    var inbox = resumed()
    var items = try take(event(6, id: "order-42"), &inbox)
    items += try take(event(7, id: "order-42"), &inbox)
    items += try take(
      frame(
        #"{"event":{"eventId":"order-42","type":"chat_message","payload":{},"timestamp":1},"#
          + #""topic":"chat:room","epoch":"0000000000000001","offset":7}"#), &inbox)
    #expect(names(items).map { $0.prefix(8) } == ["order-42", "order-42", "order-42"])
  }

  @Test func whatARestoredLogBringsAgainUnderItsNewEpochIsLeftOut() throws {
    var inbox = resumed()
    _ = try take(event(6, id: "known"), &inbox)
    var items = try take(frame(#"{"gap":{"topic":"user:u","reason":"epoch","epoch":"0000000000000002"}}"#), &inbox)
    items += try take(event(6, id: "known", more: #","epoch":"0000000000000002""#), &inbox)
    items += try take(event(7, id: "new"), &inbox)
    #expect(names(items) == ["gap epoch", "new replay"])
    let epoch = Epoch(rawValue: 2)
    #expect(items.compactMap(\.reached?.position) == [6, 7].map { Position(epoch: epoch, offset: $0) })
  }

  @Test func tellsAGapAndThatNothingWasRecovered() throws {
    var inbox = resumed()
    var items = try take(event(8, more: #","skipped":{"from":6,"to":7,"reason":"expired"}"#), &inbox)
    items += try take(live(8), &inbox)
    #expect(names(items) == ["gap expired", "e8 replay", "live 8"])
    #expect(items.last(where: { $0.reached != nil })?.reached?.position.offset == 8)
  }

  @Test func aGapAloneIsReachedWhenItIsProcessed() throws {
    var inbox = resumed()
    let gap = try frame(#"{"gap":{"topic":"user:u","from":6,"to":9,"reason":"evicted"}}"#)
    let items = try take(gap, &inbox)
    #expect(items.map(\.reached?.position.offset) == [9])
  }

  @Test func tellsAHoleThatNobodyAnnounced() throws {
    var inbox = resumed()
    let items = try take(event(9), &inbox)
    #expect(names(items) == ["hole 6...8", "e9 replay"])
    let end = try take(live(9), &inbox)
    #expect(names(end) == ["live 9"], "nothing was recovered")
  }

  @Test func anUrgentEventAheadMovesNothing() throws {
    var inbox = resumed()
    let ahead = try take(event(9, more: #","ahead":true"#), &inbox)
    #expect(names(ahead) == ["e9 replay ahead"])
    #expect(ahead.compactMap(\.reached).isEmpty)
  }

  @Test func ofTwoStatesTheHigherVersionCounts() throws {
    func presence(_ version: Int, snapshot: Bool = false) throws -> ServerFrame {
      try frame(
        #"{"event":{"eventId":"p\#(version)","type":"presence_update","payload":{"userId":"b"},"timestamp":1},"#
          + #""topic":"presence:b","version":\#(version)\#(snapshot ? #","snapshot":true"# : "")}"#)
    }
    var inbox = resumed()
    var items = try take(presence(3), &inbox)
    items += try take(presence(2), &inbox)
    items += try take(presence(3), &inbox)
    items += try take(presence(3, snapshot: true), &inbox)
    items += try take(presence(4), &inbox)
    #expect(names(items) == ["p3", "p3", "p4"])
    // The next connection tells anew, whatever its count.
    inbox.began(["user:u"], presenting: [:])
    let anew = try take(presence(1), &inbox)
    #expect(names(anew) == ["p1"])
  }

  @Test func receiptsOfAConnectionAreLikeThoseThatComeLive() throws {
    var inbox = resumed()
    let receipt = ServerFrame.Receipt(
      chatID: "c", userID: "b", messageID: "m", readAtMilliseconds: 7, version: 17)
    let told = inbox.take([receipt])
    #expect(names(told) == ["receipt_c_b_17"])
    guard case .event(let event)? = told.first?.update else { throw CancellationError() }
    #expect(event.payload.description == #"{"chatId":"c","userId":"b","messageId":"m","readAt":7}"#)
    let again = inbox.take([receipt])
    #expect(again.isEmpty)
    let live = try take(
      frame(
        #"{"event":{"eventId":"r","type":"read_receipt","payload":{"chatId":"c","userId":"b"},"timestamp":1},"#
          + #""topic":"chat:c","version":17}"#), &inbox)
    #expect(live.isEmpty, "the same, told twice")
  }

  @Test func aLogThatBeganAnewIsReadFromItsBeginning() throws {
    var inbox = resumed()
    var items = try take(
      frame(#"{"gap":{"topic":"user:u","reason":"epoch","epoch":"0000000000000002"}}"#), &inbox)
    items += try take(event(1, more: #","epoch":"0000000000000002""#), &inbox)
    #expect(names(items) == ["gap epoch", "e1 replay"])
    #expect(items.last?.reached?.position == Position(epoch: Epoch(rawValue: 2), offset: 1))
  }

  @Test func aTopicThatWasTakenAwayIsForgotten() throws {
    var inbox = resumed()
    let items = try take(frame(#"{"unsubscribed":{"topic":"user:u","code":"PERMISSION_DENIED"}}"#), &inbox)
    #expect(names(items) == ["unsubscribed user:u"])
    #expect(inbox.progress.positions.isEmpty)
  }

  @Test func leavesOtherFramesAlone() throws {
    var inbox = resumed()
    let pong = inbox.take(try frame(#"{"pong":{}}"#))
    #expect(pong == nil)
  }
}
