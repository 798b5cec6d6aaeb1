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

  @Test func saysWhoseAnswerIsOldSomeAtATime() throws {
    var chats = WatcherChats()
    let count = UInt32(HubLimits.membershipRefreshesPerSecond) + 3
    for slot in 0..<count { chats.want(connection(slot)) }
    while let question = chats.takeQuestion() { _ = chats.answer(question, ["a"], nowSeconds: 5) }
    let early = chats.takeOld(nowSeconds: 4 + HubLimits.membershipSeconds)
    #expect(early.isEmpty)
    chats.leave(connection(0))
    let old = chats.takeOld(nowSeconds: 5 + HubLimits.membershipSeconds)
    #expect(old.count == HubLimits.membershipRefreshesPerSecond && old.first == connection(1))
    let rest = chats.takeOld(nowSeconds: 5 + HubLimits.membershipSeconds)
    #expect(rest.count == 2)
    chats.ask(again: connection(1))
    let question = try take(&chats)
    let isNews = chats.answer(question, nil, nowSeconds: 30)
    #expect(!isNews && chats.isMember(connection(1), of: ["a"]) == true, "without an answer what is known stands")
    chats.keep(connection(2), nowSeconds: 30)
    let later = chats.takeOld(nowSeconds: 30 + HubLimits.membershipSeconds)
    #expect(later == [connection(1), connection(2)])
  }
}
