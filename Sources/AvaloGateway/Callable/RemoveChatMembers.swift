import AvaloCore

/// `removeChatMembers`: ends these users' memberships of the chat. When it is answered, nobody of them gets anything of
/// it any more, save by a token that names the chat. For servers with the scope `membership`.
enum RemoveChatMembers: Callable {
  static let name: StaticString = "removeChatMembers"
  static func call(_ request: CallRequest, _ context: CallContext, reply: @escaping CallReply) throws(CallError) {
    try ChatMembers.call(.remove, request, context, reply: reply)
  }
}
