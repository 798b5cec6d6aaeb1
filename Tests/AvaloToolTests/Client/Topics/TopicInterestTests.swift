import Testing

@testable import AvaloClient

@Suite struct TopicInterestTests {
  @Test func asksForTheInboxAndWhatIsWantedOnce() {
    var topics = TopicInterest(["chat:b", "user:u", "chat:b"])
    let fresh = topics.add(["chat:b", "chat:c"])
    #expect(fresh == ["chat:c"])
    let asked = topics.request(inbox: "user:u", isDuplex: true)
    #expect(asked == ["user:u", "chat:b", "chat:c"])
  }

  @Test func whatIsWatchedTwiceIsLeftTheSecondTime() {
    var topics = TopicInterest([])
    let first = topics.watch(["presence:a", "presence:b"])
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
}
