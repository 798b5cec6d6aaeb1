import Testing

@testable import AvaloClient

@Suite struct TopicInterestTests {
  @Test func asksForTheInboxAndWhatIsWantedOnce() {
    var topics = TopicInterest(["chat:b", "user:u", "chat:b"])
    let fresh = topics.add(["chat:b", "chat:c"])
    #expect(fresh == ["chat:b", "chat:c"], "there is no connection that has them")
    let asked = topics.request(inbox: "user:u", isDuplex: true)
    #expect(asked == ["user:u", "chat:b", "chat:c"])
    let more = topics.add(["chat:b", "chat:d"])
    #expect(more == ["chat:d"])
  }

  @Test func whatIsWatchedTwiceIsLeftTheSecondTime() {
    var topics = TopicInterest([])
    let first = topics.watch(["presence:a", "presence:b"])
    topics.joined(first)
    let second = topics.watch(["presence:b"])
    #expect(first == ["presence:a", "presence:b"])
    #expect(second == [])
    let one = topics.unwatch(["presence:a", "presence:b"])
    let two = topics.unwatch(["presence:b"])
    let three = topics.unwatch(["presence:b"])
    #expect([one, two, three] == [["presence:a"], ["presence:b"], []])
  }

  @Test func whatOnlyBringsCarriesFewTopicsAndPollsNoPresence() {
    var topics = TopicInterest((0..<20).map { "chat:\($0)" })
    _ = topics.watch(["presence:a"])
    let polled = topics.request(inbox: "user:u", isDuplex: false, isPolled: true)
    #expect(polled.count == 21 && polled.first == "user:u")
    #expect(!polled.contains("presence:a"))
    let streamed = topics.request(inbox: "user:u", isDuplex: false)
    #expect(streamed.last == "presence:a")
    topics.add((20..<40).map { "chat:\($0)" })
    let few = topics.request(inbox: "user:u", isDuplex: false)
    #expect(few.count == 32 && few.first == "user:u")
  }

  @Test func tellsWhatChangedWhileAConnectionWasMade() {
    var topics = TopicInterest(["chat:a", "chat:b"])
    _ = topics.request(inbox: "user:u", isDuplex: true)
    _ = topics.add(["chat:c"])
    _ = topics.remove(["chat:a"])
    var (missing, left) = topics.differences(inbox: "user:u")
    #expect(missing == ["chat:c"])
    #expect(left == ["chat:a"])
    topics.joined(missing)
    topics.left(left)
    (missing, left) = topics.differences(inbox: "user:u")
    #expect(missing.isEmpty && left.isEmpty)
  }

  @Test func whatWasRefusedIsAskedForAgainWhenSomebodyAsksOrByTheNextConnection() {
    var topics = TopicInterest(["chat:a", "chat:b"])
    _ = topics.request(inbox: "user:u", isDuplex: true)
    topics.refuse(["chat:a", "chat:b"])
    let (missing, _) = topics.differences(inbox: "user:u")
    #expect(missing == [], "nobody asks again by themselves")
    #expect(topics.asked == ["user:u", "chat:a", "chat:b"])
    let again = topics.add(["chat:a"])
    #expect(again == ["chat:a"])
    let next = topics.request(inbox: "user:u", isDuplex: true)
    #expect(next == ["user:u", "chat:a", "chat:b"])
    #expect(topics.current.count == 3)
  }
}
