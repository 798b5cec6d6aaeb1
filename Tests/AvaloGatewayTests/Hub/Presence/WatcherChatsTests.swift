import AvaloReactor
import Testing

@testable import AvaloGateway

@Suite struct WatcherChatsTests {
  private func connection(_ slot: UInt32, _ generation: UInt32 = 1) -> ConnectionID {
    ConnectionID(slot: slot, generation: generation)
  }

  private func take(_ chats: inout WatcherChats) throws -> WatcherChats.Question {
    let question = chats.takeQuestion()
    return try #require(question)
  }

  @Test func asksOnceAboutEachAndKnowsTheAnswer() throws {
    var chats = WatcherChats()
    chats.want(connection(1))
    chats.want(connection(1))
    let question = try take(&chats)
    let next = chats.takeQuestion()
    #expect(next == nil && chats.isMember(connection(1), of: ["a"]) == nil)
    let isNews = chats.answer(question, ["a", "b"], nowSeconds: 0)
    #expect(isNews && chats.isMember(connection(1), of: ["x", "b"]) == true)
    #expect(chats.isMember(connection(1), of: ["x"]) == false && chats.isMember(connection(2), of: ["a"]) == nil)
    chats.remove("b", from: connection(1))
    #expect(chats.isMember(connection(1), of: ["b"]) == false && chats.isMember(connection(1), of: ["a"]) == true)
  }

  @Test func asksAboutSoManyAtATime() throws {
    var chats = WatcherChats()
    for slot in 0..<UInt32(HubLimits.membershipQuestionsMax) + 2 { chats.want(connection(slot)) }
    var questions: [WatcherChats.Question] = []
    while let question = chats.takeQuestion() { questions.append(question) }
    #expect(questions.count == HubLimits.membershipQuestionsMax)
    _ = chats.answer(questions[0], nil, nowSeconds: 0)
    _ = try take(&chats)
    let last = chats.takeQuestion()
    #expect(last == nil)
  }

  /// A slot is used again; what was asked for its last session is not for the next one.
  @Test func takesNoAnswerForAnother() throws {
    var chats = WatcherChats()
    chats.want(connection(1))
    let question = try take(&chats)
    chats.leave(connection(1))
    chats.want(connection(1, 2))
    let isNews = chats.answer(question, ["a"], nowSeconds: 0)
    #expect(!isNews && chats.isMember(connection(1, 2), of: ["a"]) == nil)
    let next = chats.takeQuestion()
    #expect(next?.connection == connection(1, 2))
    chats.leave(connection(1))
    #expect(!chats.isEmpty)
  }

  @Test func beginsAnewWithALink() throws {
    var chats = WatcherChats()
    for slot in 0..<UInt32(2) { chats.want(connection(slot)) }
    let first = try take(&chats)
    let second = try take(&chats)
    _ = chats.answer(first, ["a"], nowSeconds: 0)
    chats.linkLost()
    let none = chats.takeQuestion()
    #expect(chats.isMember(connection(0), of: ["a"]) == nil && none == nil)
    let isNews = chats.answer(second, ["a"], nowSeconds: 0)
    #expect(!isNews, "that was another link")
    chats.want(connection(2))
    chats.linkMade()
    var asked: Set<UInt32> = []
    while let question = chats.takeQuestion() {
      #expect(asked.insert(question.connection.slot).inserted)
      _ = chats.answer(question, [], nowSeconds: 0)
    }
    #expect(asked == [0, 1, 2])
  }

  /// The slots of those who are asked about, none of whom is given an answer but that they are members of `chat`.
  private func askAll(_ chats: inout WatcherChats, _ chat: String? = nil, nowSeconds: UInt32) -> [UInt32] {
    var slots: [UInt32] = []
    while let question = chats.takeQuestion() {
      slots.append(question.connection.slot)
      _ = chats.answer(question, chat.map { [$0] }, nowSeconds: nowSeconds)
    }
    return slots
  }

  @Test func asksAgainWhenAnAnswerIsOldSomeAtATime() throws {
    var chats = WatcherChats()
    let count = UInt32(HubLimits.membershipRefreshesPerSecond) + 3
    for slot in 0..<count { chats.want(connection(slot)) }
    _ = askAll(&chats, "a", nowSeconds: 5)
    let old = 5 + HubLimits.membershipSeconds
    chats.refresh(nowSeconds: old - 1) { _ in (true, 1) }
    let early = chats.takeQuestion()
    #expect(early == nil)
    chats.leave(connection(0))
    for _ in 0..<2 { chats.refresh(nowSeconds: old) { _ in (true, 1) } }
    let first = askAll(&chats, nowSeconds: old)
    #expect(first == Array(1...UInt32(HubLimits.membershipRefreshesPerSecond)), "no more than may wait")
    #expect(chats.isMember(connection(1), of: ["a"]) == true, "without an answer what is known stands")
    chats.refresh(nowSeconds: old) { _ in (true, 1) }
    let rest = askAll(&chats, nowSeconds: old)
    #expect(rest == [count - 2, count - 1])
  }

  /// Who needs no answer takes no place of those who do, and is not looked at again at once.
  @Test func asksAgainOnlyAboutWhoNeedsIt() throws {
    var chats = WatcherChats()
    // A session, and what it watches.
    let count = UInt32(HubLimits.membershipLooksPerSecond / 2)
    for slot in 0...count { chats.want(connection(slot)) }
    _ = askAll(&chats, "a", nowSeconds: 0)
    let old = HubLimits.membershipSeconds
    var looks = 0
    chats.refresh(nowSeconds: old) {
      looks += 1
      return ($0.slot == count - 1, 1)
    }
    let asked = askAll(&chats, nowSeconds: old)
    #expect(asked == [count - 1] && looks == HubLimits.membershipLooksPerSecond / 2)
    chats.refresh(nowSeconds: old) { _ in
      looks += 1
      return (false, 1)
    }
    #expect(looks == HubLimits.membershipLooksPerSecond / 2 + 1)
  }

  @Test func asksFirstAboutWhoIsShownNothingYet() throws {
    var chats = WatcherChats()
    chats.want(connection(1))
    _ = askAll(&chats, nowSeconds: 0)
    chats.refresh(nowSeconds: HubLimits.membershipSeconds) { _ in (true, 1) }
    chats.want(connection(2))
    var kinds: [Bool] = []
    let refused = chats.takeQuestion {
      kinds.append($0)
      return false
    }
    #expect(refused == nil && kinds == [false])
    let asked = askAll(&chats, nowSeconds: HubLimits.membershipSeconds)
    #expect(asked == [2, 1], "what was not asked still waits")
  }
}
