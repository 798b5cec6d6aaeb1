import AvaloCore
import Testing

@Suite struct EventTypesTests {
  @Test func hasABitForEachType() {
    for type in EventType.allCases {
      #expect(type.rawValue < 64)
      #expect(EventTypes([type]).rawValue == 1 << UInt64(type.rawValue))
      #expect(EventTypes([type]).contains(type))
      #expect(!EventTypes(EventType.allCases.filter { $0 != type }).contains(type))
    }
    #expect(EventTypes.durable.contains(.notification))
    #expect(!EventTypes.durable.contains(.typingIndicator))
  }
}
