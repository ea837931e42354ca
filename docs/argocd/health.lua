-- Health of a TalkingVideo for Argo CD: docs/operations.md says where to put it.
local health = { status = "Progressing", message = "Waiting for the operator" }

if obj.status == nil or obj.status.conditions == nil then
  return health
end
if obj.status.observedGeneration ~= obj.metadata.generation then
  return health
end

local held = {}
for _, condition in ipairs(obj.status.conditions) do
  if condition.status == "True" then
    held[condition.type] = condition
  end
end

local meanings = {
  { "Cancelled", "Suspended" },
  { "Failed", "Degraded" },
  { "Stalled", "Degraded" },
  { "Suspended", "Suspended" },
  { "Ready", "Healthy" },
  { "Reconciling", "Progressing" },
}
for _, meaning in ipairs(meanings) do
  local condition = held[meaning[1]]
  if condition ~= nil then
    health.status = meaning[2]
    health.message = condition.reason .. ": " .. condition.message
    return health
  end
end
return health
