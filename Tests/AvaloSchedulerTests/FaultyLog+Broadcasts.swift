import AvaloCore
import AvaloStore

extension FaultyLog {
  func broadcast(_ id: UInt64) throws(LogError) -> StoredBroadcast? {
    try pass(.readBroadcasts)
    return try inner.broadcast(id)
  }
  func unfinishedBroadcasts() throws(LogError) -> [StoredBroadcast] {
    try pass(.readBroadcasts)
    return try inner.unfinishedBroadcasts()
  }
  func put(_ broadcast: StoredBroadcast) throws(LogError) {
    try pass(.writeBroadcasts)
    try inner.put(broadcast)
  }
  func removeBroadcast(_ id: UInt64) throws(LogError) {
    try pass(.writeBroadcasts)
    try inner.removeBroadcast(id)
  }
  func removeFinishedBroadcasts(before: Int64, keeping: Int) throws(LogError) -> Int {
    try pass(.writeBroadcasts)
    return try inner.removeFinishedBroadcasts(before: before, keeping: keeping)
  }
  func put(record: [UInt8], ofBroadcast id: UInt64) throws(LogError) {
    try pass(.writeBroadcasts)
    try inner.put(record: record, ofBroadcast: id)
  }
  func record(ofBroadcast id: UInt64) throws(LogError) -> [UInt8]? {
    try pass(.readBroadcasts)
    return try inner.record(ofBroadcast: id)
  }
  func put(recipients: [String], from first: UInt32, ofBroadcast id: UInt64) throws(LogError) {
    try pass(.writeBroadcasts)
    try inner.put(recipients: recipients, from: first, ofBroadcast: id)
  }
  func recipients(
    at index: UInt32, ofBroadcast id: UInt64
  ) throws(LogError) -> (first: UInt32, users: [String])? {
    try pass(.readBroadcasts)
    return try inner.recipients(at: index, ofBroadcast: id)
  }
  func removeParts(ofBroadcast id: UInt64) throws(LogError) {
    try pass(.writeBroadcasts)
    try inner.removeParts(ofBroadcast: id)
  }
  func shared(_ id: Int64) throws(LogError) -> [UInt8]? {
    try pass(.readBroadcasts)
    return try inner.shared(id)
  }
}
