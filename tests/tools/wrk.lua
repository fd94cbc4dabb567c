-- Products or orders, as the shop's fault needs them.
local orders = os.getenv("SHOP") == "orders"

request = function()
  local item = math.random(1, 200000)
  if orders then
    local body = '{"product": ' .. item .. ', "quantity": 1}'
    return wrk.format("POST", "/order", { ["Content-Type"] = "application/json" }, body)
  end
  return wrk.format("GET", "/product/" .. item)
end
