import AvaloCore
import Testing

@testable import AvaloGateway

@Suite struct PositionVectorTests {
  @Test func isReadAsItWasWritten() throws {
    let positions = [
      (Topic("user:ann")!, Position(epoch: testEpoch, offset: 17)),
      (Topic("chat:a.b_c@d-e")!, Position(epoch: Epoch(rawValue: .max), offset: .max)),
    ]
    var text = Array("id: ".utf8)
    for (topic, position) in positions { PositionVector.append(topic, position, to: &text) }
    let id = String(decoding: text.dropFirst(4), as: UTF8.self)
    #expect(id == "user:ann=0000000100000007.17,chat:a.b_c@d-e=ffffffffffffffff.18446744073709551615")
    let parsed = try #require(PositionVector.parse(id))
    #expect(parsed.topics == positions.map(\.0))
    #expect(parsed.positions == Dictionary(uniqueKeysWithValues: positions))
  }

  @Test(arguments: [
    "", ",", "ann", "user:ann=", "user:ann=0000000100000007", "user:ann=0000000100000007.", "user:ann=7.1",
    "user:ann=0000000100000007.1.2", "user:ann=0000000100000007.-1", "user:ann=0000000100000007.1,",
    "ann=0000000100000007.1",
  ])
  func refusesWhatIsNotOurs(text: String) {
    #expect(PositionVector.parse(text) == nil)
  }

  @Test func namesTopicsWithoutAPosition() throws {
    var text: [UInt8] = []
    PositionVector.append(Topic("user:ann")!, nil, to: &text)
    PositionVector.append(Topic("chat:c")!, Position(epoch: testEpoch, offset: 1), to: &text)
    let parsed = try #require(PositionVector.parse(String(decoding: text, as: UTF8.self)))
    #expect(parsed.topics.map(\.name) == ["user:ann", "chat:c"] && parsed.positions.count == 1)
  }

  @Test func hasABound() {
    let parts = (0...HubLimits.streamTopicsMax).map { "chat:c\($0)=0000000100000007.1" }
    #expect(PositionVector.parse(parts.joined(separator: ",")) == nil)
    #expect(PositionVector.parse(parts.dropLast().joined(separator: ","))?.topics.count == HubLimits.streamTopicsMax)
  }
}
