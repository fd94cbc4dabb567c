import http from 'k6/http';
import { check, sleep } from 'k6';

const BASE = 'http://127.0.0.1:PORT';

export const options = {
  scenarios: {
    buyers: { executor: 'per-vu-iterations', vus: 3, iterations: 20, maxDuration: '30s' },
  },
};

export default function () {
  const login = http.post(`${BASE}/login`, JSON.stringify({ user: 'ada', age: 36 }), {
    headers: { 'Content-Type': 'application/json' },
  });
  check(login, { 'status is 200': (r) => r.status === 200 });
  const token = login.json('token');
  for (let i = 0; i < 2; i++) {
    http.get(`${BASE}/product/17?q=tea+%26+milk`, { headers: { 'X-Shop': 'k6' } });
  }
  http.post(`${BASE}/order`, { cart: token, note: 'a & b' }, { headers: { 'X-Shop': 'k6' } });
  sleep(0.02);
  http.del(`${BASE}/cart/${token}`);
}
