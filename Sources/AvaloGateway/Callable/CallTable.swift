import AvaloCore

/// The functions there are: one line each.
public enum CallTable {
  static let callables: [any Callable.Type] = [
    PublishRealtimeEvent.self,
    BroadcastToUsers.self,
    GetBroadcast.self,
    CancelDelayedEvent.self,
    ReadTopicEvents.self,
    SubscribeToRealtimeEvents.self,
    Unsubscribe.self,
    UpdatePresence.self,
    SendReadReceipt.self,
    MarkChatAsRead.self,
    RealtimePing.self,
    GetPresence.self,
    SendTypingIndicator.self,
    ListOnlineUsers.self,
    ListConnections.self,
    DisconnectUser.self,
    SetChatMembers.self,
    AddChatMembers.self,
    RemoveChatMembers.self,
    GetChatMembers.self,
    RevokeTokens.self,
    EraseUser.self,
  ]

  /// Every name, for documents and tests.
  public static var names: [String] { callables.map { $0.name.description } }

  /// The function of that name.
  public static func find(_ name: some Collection<UInt8>) -> (any Callable.Type)? {
    for callable in callables where callable.name.utf8CodeUnitCount == name.count {
      let wanted = UnsafeBufferPointer(start: callable.name.utf8Start, count: callable.name.utf8CodeUnitCount)
      if name.elementsEqual(wanted) { return callable }
    }
    return nil
  }

  /// Calls it: whatever happens, `reply` is called once, and the observer told.
  public static func invoke(
    _ callable: any Callable.Type, _ request: CallRequest, _ context: CallContext, reply: @escaping CallReply
  ) {
    let reply = context.observed(callable.name, reply)
    do throws(CallError) {
      try context.admit(request.caller, to: callable)
      try callable.call(request, context, reply: reply)
    } catch {
      reply(.failure(error))
    }
  }
}
